//! A still picture among the items: a single item or a grid of cells, and its alpha, which is a
//! separate picture.

use super::{
    container::Meta,
    corrupt,
    properties::{Coding, Properties},
};
use crate::{Error, Result, codec::bmff::Fields};

/// Everything that must be decoded to show the primary item.
pub(super) struct Picture<'a> {
    pub(super) properties: Properties<'a>,
    pub(super) coding: Coding,
    pub(super) colour: Grid,
    pub(super) alpha: Option<Grid>,
    /// Whether the colours are multiplied by alpha.
    pub(super) premultiplied: bool,
}

/// Coded items side by side, row by row from the top. A single picture is a grid of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Width and height of each cell.
    pub(super) cell: (u32, u32),
    /// Width and height of the whole, which may crop the last cells.
    pub(super) size: (u32, u32),
    pub(super) cells: Vec<u32>,
}

/// Required by ISO/IEC 23000-22 (MIAF). It also keeps the number of cells in proportion.
const SMALLEST_CELL: u32 = 64;

impl<'a> Picture<'a> {
    pub(super) fn read(meta: &Meta<'a>) -> Result<Self> {
        let primary = meta
            .primary
            .ok_or_else(|| corrupt("no item is the picture"))?;
        let mut properties = Properties::read(meta.properties_of(primary));
        let colour = Grid::read(meta, primary, &properties)?;
        if let Some(first) = colour.cells.first().filter(|first| **first != primary) {
            // A grid may leave coding and colours to its cells.
            let cell = Properties::read(meta.properties_of(*first));
            properties.coding = properties.coding.or(cell.coding);
            properties.units = properties.units.or(cell.units);
            properties.nclx = properties.nclx.or(cell.nclx);
            properties.icc = properties.icc.or(cell.icc);
        }
        let coding =
            (properties.coding).ok_or_else(|| corrupt("nothing says how the picture is coded"))?;
        let (alpha, premultiplied) = match alpha_of(meta, primary) {
            Some(id) => {
                let said = Properties::read(meta.properties_of(id));
                let premultiplied = (meta.references.iter())
                    .any(|r| r.kind == *b"prem" && r.from == primary && r.to.contains(&id));
                (Some(Grid::read(meta, id, &said)?), premultiplied)
            }
            None => (alpha_of_cells(meta, primary, &colour), false),
        };
        if alpha
            .as_ref()
            .is_some_and(|alpha| alpha.size != colour.size)
        {
            return Err(corrupt("its alpha has another size"));
        }
        Ok(Self {
            properties,
            coding,
            colour,
            alpha,
            premultiplied,
        })
    }
}

/// The item that contains the alpha of `of`.
pub(super) fn alpha_of(meta: &Meta<'_>, of: u32) -> Option<u32> {
    let mut aux = (meta.references.iter()).filter(|r| r.kind == *b"auxl" && r.to.contains(&of));
    aux.find(|r| Properties::read(meta.properties_of(r.from)).is_alpha())
        .map(|r| r.from)
}

/// The alpha of a grid without alpha of its own, if all its cells have some.
fn alpha_of_cells(meta: &Meta<'_>, primary: u32, colour: &Grid) -> Option<Grid> {
    if colour.cells.first() == Some(&primary) {
        return None;
    }
    let mut of = std::collections::BTreeMap::new();
    for reference in meta.references.iter().filter(|r| r.kind == *b"auxl") {
        if Properties::read(meta.properties_of(reference.from)).is_alpha() {
            of.extend(reference.to.iter().map(|to| (*to, reference.from)));
        }
    }
    let cells = colour.cells.iter().map(|cell| of.get(cell).copied());
    Some(Grid {
        cells: cells.collect::<Option<_>>()?,
        ..colour.clone()
    })
}

impl Grid {
    fn read(meta: &Meta<'_>, id: u32, properties: &Properties<'_>) -> Result<Self> {
        let item = (meta.items.get(&id)).ok_or_else(|| corrupt("the picture is missing"))?;
        match &item.kind {
            b"av01" => {
                let size = size(properties)?;
                Ok(Self {
                    columns: 1,
                    rows: 1,
                    cell: size,
                    size,
                    cells: vec![id],
                })
            }
            b"grid" => Self::derived(meta, id),
            other => Err(Error::Unsupported(format!(
                "AVIF pictures of the kind {:?} cannot be read",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    fn derived(meta: &Meta<'_>, id: u32) -> Result<Self> {
        let data = meta.data(id)?;
        let mut fields = Fields::new(&data);
        let mut head = || {
            let (_, flags) = (fields.u8()?, fields.u8()?);
            let (rows, columns) = (u32::from(fields.u8()?) + 1, u32::from(fields.u8()?) + 1);
            let size = (fields.id(flags & 1 == 1)?, fields.id(flags & 1 == 1)?);
            Some((rows, columns, size))
        };
        let (rows, columns, size) = head().ok_or_else(|| corrupt("its grid ends early"))?;
        let cells = meta.parts(id).to_vec();
        if cells.len() as u64 != u64::from(rows) * u64::from(columns) {
            return Err(corrupt("its grid has another number of cells"));
        }
        let mut cell = None;
        for id in &cells {
            if meta.items.get(id).is_none_or(|item| item.kind != *b"av01") {
                return Err(corrupt("a cell of its grid is not coded as AV1"));
            }
            let found = self::size(&Properties::read(meta.properties_of(*id)))?;
            if *cell.get_or_insert(found) != found {
                return Err(corrupt("the cells of its grid differ in size"));
            }
        }
        let cell = cell.ok_or_else(|| corrupt("its grid has no cells"))?;
        let fits = |cell: u32, count: u32, size: u32| {
            let (cell, count, size) = (u64::from(cell), u64::from(count), u64::from(size));
            // A single cell must be almost completely visible, so that memory is in proportion.
            let rest = if count > 1 {
                size
            } else {
                size + u64::from(SMALLEST_CELL)
            };
            cell * (count - 1) < size && size <= cell * count && cell <= rest
        };
        if !fits(cell.0, columns, size.0) || !fits(cell.1, rows, size.1) {
            return Err(corrupt("the cells of its grid do not fit its size"));
        }
        if cells.len() > 1 && cell.0.min(cell.1) < SMALLEST_CELL {
            return Err(corrupt("the cells of its grid are too small"));
        }
        Ok(Self {
            columns,
            rows,
            cell,
            size,
            cells,
        })
    }
}

fn size(properties: &Properties<'_>) -> Result<(u32, u32)> {
    match properties.size {
        Some((width @ 1.., height @ 1..)) => Ok((width, height)),
        _ => Err(corrupt("nothing says which size the picture has")),
    }
}
