//! What the files say of themselves, read with goblin.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use goblin::elf::dynamic::{DF_1_PIE, DF_TEXTREL, DT_FLAGS_1};
use goblin::elf::header::{EM_ARM, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_W, PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP};
use goblin::elf::{Elf, ProgramHeader};

use super::{Target, on_each_target};

/// So that a binary does not grow unseen, in bytes. The goal was 25 MB before AV1, JPEG XL, HEVC and SVG
/// came in; see docs/decisions/0004. Relocations of a static-pie are part of it: 24 bytes for each
/// pointer in constants where pointers have 64 bits.
const LARGEST: usize = 47_000_000;

/// "ELF for the ARM Architecture", 4.3.1: version 5 of the ABI, floats in hardware registers.
const EF_ARM_EABI_MASK: u32 = 0xff00_0000;
const EF_ARM_EABI_VER5: u32 = 0x0500_0000;
const EF_ARM_ABI_FLOAT_HARD: u32 = 0x0000_0400;

on_each_target!(the_file_is_static_hardened_and_tells_nothing_of_its_builder);

fn the_file_is_static_hardened_and_tells_nothing_of_its_builder(target: &Target) {
    let Some(path) = target.binary("ELF facts") else {
        return;
    };
    let bytes = std::fs::read(path).expect("readable");
    // Past the harness's capture: the size is wanted in every log.
    let _ = writeln!(std::io::stderr(), "{}: {} bytes", target.name, bytes.len());
    assert_eq!(faults(&bytes, target), Vec::<String>::new());
}

/// The check itself must be able to fail: the binary under test is linked dynamically and was built
/// right here; in the usual debug build it has its symbols as well.
#[test]
fn a_dynamic_debug_binary_is_not_taken_for_a_static_one() {
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_pict-rs")).expect("readable");
    let own = Target::all()
        .find(|target| target.arch == std::env::consts::ARCH)
        .expect("tests run on a processor that binaries are made for");
    let found = faults(&bytes, &own).join("\n");
    let always = [
        "has an interpreter",
        "needs libraries",
        "no list of dependencies",
    ];
    let in_debug = ["names the folder", "has symbols"];
    let in_debug = in_debug.iter().filter(|_| cfg!(debug_assertions));
    for expected in always.iter().chain(in_debug) {
        assert!(found.contains(expected), "{expected} is not in: {found}");
    }
    let other = Target::all().find(|target| target.elf_machine != own.elf_machine);
    let found = faults(&bytes, &other.expect("another")).join("\n");
    assert!(found.contains("for machine"), "{found}");
    let found = faults(&bytes, &Target::named("armv7l")).join("\n");
    assert!(found.contains("bits"), "{found}");
}

/// The binary under test is position-independent. Without either of the two marks of that, it must
/// not be taken for one that is.
#[test]
fn a_file_at_a_fixed_address_is_not_taken_for_a_static_pie() {
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_pict-rs")).expect("readable");
    let fixed = |bytes: &[u8]| fixed_in_memory(&Elf::parse(bytes).expect("an ELF file"));
    assert_eq!(fixed(&bytes), Vec::<&str>::new());

    let mut changed = bytes.clone();
    // The header's `e_type`, after the 16 bytes that identify the file.
    changed[16..18].copy_from_slice(&ET_EXEC.to_le_bytes());
    assert_eq!(fixed(&changed), ["is loaded at a fixed address"]);

    let elf = Elf::parse(&bytes).expect("an ELF file");
    let dynamic = elf.dynamic.as_ref().expect("a dynamic section");
    let mut entries = dynamic.dyns.iter();
    let at = entries.position(|entry| entry.d_tag == DT_FLAGS_1);
    let at = at.expect("flags");
    let flags = dynamic.info.flags_1 & !DF_1_PIE;
    let start = segment(&elf, PT_DYNAMIC).expect("a segment").p_offset as usize;
    let word = if elf.is_64 { 8 } else { 4 };
    // Each entry is a tag and a value.
    let value = start + (2 * at + 1) * word;
    let mut changed = bytes.clone();
    changed[value..value + 4].copy_from_slice(&flags.to_le_bytes()[..4]);
    assert_eq!(fixed(&changed), ["is marked as one for a fixed address"]);
}

/// Everything that is wrong with a file as a static binary for `target`.
fn faults(bytes: &[u8], target: &Target) -> Vec<String> {
    let elf = Elf::parse(bytes).expect("an ELF file");
    let mut found = Vec::new();
    let mut check = |is_right: bool, fault: &str| {
        if !is_right {
            found.push(fault.to_owned());
        }
    };
    check(
        elf.is_64 == (target.bits == 64),
        "pointers have the wrong number of bits",
    );
    check(elf.little_endian, "is big-endian");
    let machine = elf.header.e_machine;
    check(
        machine == target.elf_machine,
        &format!("is for machine {machine}"),
    );
    for fault in fixed_in_memory(&elf) {
        check(false, fault);
    }
    if machine == EM_ARM {
        let flags = elf.header.e_flags;
        check(flags & EF_ARM_EABI_MASK == EF_ARM_EABI_VER5, "is not EABI5");
        check(
            flags & EF_ARM_ABI_FLOAT_HARD != 0,
            "passes floats in software",
        );
    }
    let interpreter = segment(&elf, PT_INTERP).is_some();
    check(
        elf.interpreter.is_none() && !interpreter,
        "has an interpreter",
    );
    check(
        elf.libraries.is_empty(),
        &format!("needs libraries {:?}", elf.libraries),
    );
    check(
        elf.rpaths.is_empty() && elf.runpaths.is_empty(),
        "has an RPATH",
    );
    let stack = segment(&elf, PT_GNU_STACK);
    check(
        stack.is_some_and(|stack| stack.p_flags & PF_X == 0),
        "its stack is executable",
    );
    check(segment(&elf, PT_GNU_RELRO).is_some(), "has no RELRO");
    let both = PF_W | PF_X;
    check(
        elf.program_headers
            .iter()
            .all(|segment| segment.p_flags & both != both),
        "a segment is writable and executable",
    );
    let section = |name: &str| {
        let mut names = elf.section_headers.iter().map(|section| section.sh_name);
        names.any(|at| elf.shdr_strtab.get_at(at) == Some(name))
    };
    check(
        !section(".symtab") && !section(".debug_info"),
        "has symbols",
    );
    check(section(".note.gnu.build-id"), "has no build id");
    check(section(".dep-v0"), "carries no list of dependencies");
    check(
        bytes.len() <= LARGEST,
        &format!("has {} bytes", bytes.len()),
    );
    for folder in folders_of_this_machine() {
        let name = folder.as_os_str().as_encoded_bytes();
        let is_named = memchr::memmem::find(bytes, name).is_some();
        check(!is_named, &format!("names the folder {}", folder.display()));
    }
    found
}

/// Why the system could not choose the address of a file at each start.
fn fixed_in_memory(elf: &Elf) -> Vec<&'static str> {
    let mut found = Vec::new();
    if elf.header.e_type != ET_DYN {
        found.push("is loaded at a fixed address");
    }
    let dynamic = elf.dynamic.as_ref().map(|dynamic| &dynamic.info);
    if dynamic.is_none_or(|info| info.flags_1 & DF_1_PIE == 0) {
        found.push("is marked as one for a fixed address");
    }
    if dynamic.is_some_and(|info| info.textrel || info.flags & DF_TEXTREL != 0) {
        found.push("has code that is changed when it is loaded");
    }
    found
}

fn segment<'a>(elf: &'a Elf, kind: u32) -> Option<&'a ProgramHeader> {
    elf.program_headers
        .iter()
        .find(|segment| segment.p_type == kind)
}

/// Where sources, crates and results lie here; a binary that names one of them tells on whoever
/// built it and cannot be built equally elsewhere.
fn folders_of_this_machine() -> Vec<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let results = Path::new(env!("CARGO_BIN_EXE_pict-rs")).parent();
    let mut folders = vec![
        repository.canonicalize().expect("it is there"),
        results.expect("in a folder").to_owned(),
        PathBuf::from("registry/src/"),
    ];
    folders.extend(std::env::home_dir().map(|home| home.join(".cargo")));
    folders.extend(std::env::home_dir().map(|home| home.join(".cache")));
    folders
}
