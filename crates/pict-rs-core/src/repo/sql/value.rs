//! Values of parameters.

/// The value of a parameter. Nulls are typed too, because some engines require it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
}

macro_rules! values {
    ($($kind:ident: $($from:ty),+;)+) => {
        $($(
            impl From<$from> for Value {
                fn from(value: $from) -> Self {
                    Self::$kind(Some(value.into()))
                }
            }

            impl From<Option<$from>> for Value {
                fn from(value: Option<$from>) -> Self {
                    Self::$kind(value.map(Into::into))
                }
            }
        )+)+
    };
}

values! {
    Int: i64, u32, bool;
    Text: &str, String, &String;
    Blob: &[u8], Vec<u8>;
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}
