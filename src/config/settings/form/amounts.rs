//! Numbers, sizes and durations, within bounds.

use std::{fmt::Display, marker::PhantomData, ops::RangeInclusive, time::Duration};

use super::Form;
use crate::config::{duration, settings::Takes, size};

/// A whole number.
pub(crate) struct Whole<T> {
    bounds: RangeInclusive<u64>,
    number: PhantomData<fn() -> T>,
}

impl<T> Whole<T> {
    /// The bounds must be within those of `T` and of TOML's integers.
    pub(crate) fn within(bounds: RangeInclusive<u64>) -> Self {
        let number = PhantomData;
        Self { bounds, number }
    }

    pub(crate) fn at_least(least: u64) -> Self {
        Self::within(least..=i64::MAX as u64)
    }
}

impl<T: TryFrom<u64> + Display> Form for Whole<T> {
    type Value = T;

    fn takes(&self, _: &T) -> Takes {
        Takes::Value("NUMBER")
    }

    fn read(&self, text: &str) -> Result<T, String> {
        let number = text
            .parse()
            .ok()
            .filter(|number| self.bounds.contains(number));
        let (least, most) = (self.bounds.start(), self.bounds.end());
        number
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| match *most {
                most if most == i64::MAX as u64 => {
                    format!("`{text}` is not a whole number of at least {least}")
                }
                most => format!("`{text}` is not a whole number from {least} to {most}"),
            })
    }

    fn show(&self, value: &T) -> Option<toml::Value> {
        let number = value.to_string();
        Some(number.parse().map_or(number.into(), toml::Value::Integer))
    }
}

/// A number of bytes, such as `4MiB`.
pub(crate) struct Size<T> {
    bounds: RangeInclusive<u64>,
    number: PhantomData<fn() -> T>,
}

impl<T> Size<T> {
    /// The bounds must be within those of `T`.
    pub(crate) fn within(bounds: RangeInclusive<u64>) -> Self {
        let number = PhantomData;
        Self { bounds, number }
    }

    pub(crate) fn at_least(least: u64) -> Self {
        Self::within(least..=u64::MAX)
    }
}

impl<T: TryFrom<u64> + Into<u64> + Copy> Form for Size<T> {
    type Value = T;

    fn takes(&self, _: &T) -> Takes {
        Takes::Value("SIZE")
    }

    fn read(&self, text: &str) -> Result<T, String> {
        let size = size::parse(text)?;
        let within = Some(size).filter(|size| self.bounds.contains(size));
        within
            .and_then(|size| T::try_from(size).ok())
            .ok_or_else(|| {
                let least = size::write(*self.bounds.start());
                match *self.bounds.end() {
                    u64::MAX => format!("`{text}` is less than {least}"),
                    most => format!("`{text}` is not from {least} to {}", size::write(most)),
                }
            })
    }

    fn show(&self, value: &T) -> Option<toml::Value> {
        Some(size::write((*value).into()).into())
    }
}

/// A duration, such as `10s`.
pub(crate) struct Span(pub(crate) RangeInclusive<Duration>);

impl Form for Span {
    type Value = Duration;

    fn takes(&self, _: &Duration) -> Takes {
        Takes::Value("TIME")
    }

    fn read(&self, text: &str) -> Result<Duration, String> {
        let span = duration::parse(text)?;
        if self.0.contains(&span) {
            Ok(span)
        } else {
            Err(format!(
                "`{text}` is not from {} to {}",
                duration::write(*self.0.start()),
                duration::write(*self.0.end())
            ))
        }
    }

    fn show(&self, value: &Duration) -> Option<toml::Value> {
        Some(duration::write(*value).into())
    }
}

/// A value of another form; `none` or 0 means no limit.
pub(crate) struct OrNone<F>(pub(crate) F);

impl<F: Form> Form for OrNone<F> {
    type Value = Option<F::Value>;

    fn takes(&self, default: &Self::Value) -> Takes {
        let word = default.as_ref().map(|default| self.0.takes(default));
        word.unwrap_or(Takes::Value("AMOUNT"))
    }

    fn read(&self, text: &str) -> Result<Self::Value, String> {
        match text {
            "none" | "0" => Ok(None),
            _ => match self.0.read(text) {
                Ok(value) => Ok(Some(value)),
                Err(wrong) => Err(format!("{wrong}, or none")),
            },
        }
    }

    fn show(&self, value: &Self::Value) -> Option<toml::Value> {
        match value {
            Some(value) => self.0.show(value),
            None => Some("none".into()),
        }
    }
}
