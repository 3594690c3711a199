//! Functions on `TIMESTAMP WITH TIME ZONE` that only DuckDB's ICU extension has.
//!
//! Without it DuckDB would advise to install the extension, which is not
//! possible. Each is registered to say what to write in its place.

use std::error::Error as StdError;
use std::marker::PhantomData;

use duckdb::Connection;
use duckdb::core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId};
use duckdb::vscalar::{ScalarFunctionSignature, VScalar};
use duckdb::vtab::arrow::WritableVector;

use LogicalTypeId::{Bigint, Double, Interval, TimeTZ, TimestampTZ, Varchar};

pub(super) fn register(connection: &Connection) -> duckdb::Result<()> {
    connection.register_scalar_function::<Refused<TimeBucket>>("time_bucket")?;
    connection.register_scalar_function::<Refused<Age>>("age")?;
    for name in ["date_sub", "datesub"] {
        connection.register_scalar_function::<Refused<DateSub>>(name)?;
    }
    for name in ["date_part", "datepart"] {
        connection.register_scalar_function::<Refused<Parts>>(name)?;
    }
    connection.register_scalar_function::<Refused<MakeInstant>>("make_timestamptz")?;
    connection.register_scalar_function::<Refused<ZoneOfTime>>("timezone")?;
    for name in ["range", "generate_series"] {
        connection.register_scalar_function::<Refused<Series>>(name)?;
    }
    Ok(())
}

/// What is refused, and what to write in its place.
trait Instead: Send + Sync + 'static {
    const WRITE: &'static str;
    fn signatures() -> Vec<ScalarFunctionSignature>;
}

struct Refused<I>(PhantomData<I>);

impl<I: Instead> VScalar for Refused<I> {
    type State = ();

    fn invoke(_: &(), _: &mut DataChunkHandle, _: &mut dyn WritableVector) -> Result<(), Box<dyn StdError>> {
        Err(format!("this is not there for TIMESTAMP WITH TIME ZONE; write {}", I::WRITE).into())
    }

    fn signatures() -> Vec<ScalarFunctionSignature> {
        I::signatures()
    }
}

fn exact(parameters: &[LogicalTypeId], result: LogicalTypeId) -> ScalarFunctionSignature {
    ScalarFunctionSignature::exact(parameters.iter().map(|id| (*id).into()).collect(), result.into())
}

macro_rules! refused {
    ($($kind:ident: $write:literal => [$($signature:expr),* $(,)?];)*) => {
        $(struct $kind;
        impl Instead for $kind {
            const WRITE: &'static str = $write;
            fn signatures() -> Vec<ScalarFunctionSignature> {
                vec![$($signature),*]
            }
        })*
    };
}

refused! {
    TimeBucket: "time_bucket(width, t::TIMESTAMP): the time in UTC, or in a zone with (t AT TIME ZONE zone)" => [
        exact(&[Interval, TimestampTZ], TimestampTZ),
        exact(&[Interval, TimestampTZ, Interval], TimestampTZ),
        exact(&[Interval, TimestampTZ, TimestampTZ], TimestampTZ),
        exact(&[Interval, TimestampTZ, Varchar], TimestampTZ),
    ];
    Age: "age(t::TIMESTAMP, u::TIMESTAMP), or t - u" => [
        exact(&[TimestampTZ], Interval),
        exact(&[TimestampTZ, TimestampTZ], Interval),
    ];
    DateSub: "date_sub(part, t::TIMESTAMP, u::TIMESTAMP)" => [
        exact(&[Varchar, TimestampTZ, TimestampTZ], Bigint),
    ];
    Parts: "date_part([…], t::TIMESTAMP)" => [
        ScalarFunctionSignature::exact(
            vec![LogicalTypeHandle::list(&Varchar.into()), TimestampTZ.into()],
            Bigint.into(),
        ),
    ];
    MakeInstant: "make_timestamp(…) AT TIME ZONE zone" => [
        exact(&[Bigint], TimestampTZ),
        exact(&[Bigint, Bigint, Bigint, Bigint, Bigint, Double], TimestampTZ),
        exact(&[Bigint, Bigint, Bigint, Bigint, Bigint, Double, Varchar], TimestampTZ),
    ];
    ZoneOfTime: "a TIMESTAMP, which has a day, AT TIME ZONE zone" => [
        exact(&[Varchar, TimeTZ], TimeTZ),
    ];
    Series: "range(t::TIMESTAMP, u::TIMESTAMP, step), and generate_series alike" => [
        ScalarFunctionSignature::exact(
            vec![TimestampTZ.into(), TimestampTZ.into(), Interval.into()],
            LogicalTypeHandle::list(&TimestampTZ.into()),
        ),
    ];
}
