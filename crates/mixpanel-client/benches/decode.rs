//! How fast lines become Arrow columns, next to what reading them costs at least.
//!
//! `cargo bench --profile dev --workspace --bench decode [-- events part-of-a-name]` prints events and megabytes per
//! second of one core. Compare ratios within a run: machines differ, ratios hold.
#![allow(missing_docs)]

use std::borrow::Cow;
use std::hint::black_box;
use std::marker::PhantomData;
use std::sync::LazyLock;
use std::time::Instant;

use mixpanel_client::export::{ColumnPlan, DecodeOptions, EventDecoder};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sonic_rs::JsonValueTrait;

/// A generator of numbers that are always the same (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

const NAMES: [&str; 6] = ["Page View", "Signed up", "Purchase", "Search", "$session_start", "Video Played"];
const CITIES: [&str; 5] = ["Amsterdam", "São Paulo", "New York", "東京", "München"];
const COUNTRIES: [&str; 5] = ["NL", "BR", "US", "JP", "DE"];
const PATHS: [&str; 4] = ["/", "/pricing", "/blog/how-to-measure", "/app/reports/segmentation"];

fn head(numbers: &mut Numbers, into: &mut String) {
    use std::fmt::Write;
    let (name, time) = (numbers.of(&NAMES), 1_700_000_000 + numbers.below(86_400));
    let (user, one, two) = (numbers.below(50_000), numbers.next(), numbers.next());
    let _ = write!(
        into,
        "{{\"event\":\"{name}\",\"properties\":{{\"time\":{time},\"distinct_id\":\"$device:{user:08x}-7c1e-4a5b-9c3d-{user:012x}\",\
         \"$insert_id\":\"{one:016x}{two:016x}\",\"mp_processing_time_ms\":{}",
        time * 1_000 + numbers.below(5_000)
    );
}

/// An event as a browser sends it: 30 properties besides the fixed three, about 900 bytes.
fn web_event(numbers: &mut Numbers, into: &mut String) {
    use std::fmt::Write;
    head(numbers, into);
    let country = numbers.below(5) as usize;
    let _ = write!(
        into,
        ",\"$browser\":\"{}\",\"$browser_version\":{},\"$city\":\"{}\",\"mp_country_code\":\"{}\",\"$region\":\"Region {}\",\
         \"$current_url\":\"https://www.example.com{}?utm_source=newsletter&id={}\",\"$device_id\":\"{:032x}\",\
         \"$initial_referrer\":\"$direct\",\"$initial_referring_domain\":\"$direct\",\"$lib_version\":\"2.55.{}\",\
         \"$mp_api_endpoint\":\"api-js.mixpanel.com\",\"$mp_api_timestamp_ms\":{},\"$os\":\"{}\",\
         \"$screen_height\":{},\"$screen_width\":{},\"mp_lib\":\"web\",\"mp_sent_by_lib_version\":\"2.55.1\",\
         \"$import\":{},\"$mp_event_size\":{},\"$referrer\":\"https://www.google.com/\",\
         \"plan\":\"{}\",\"amount\":{}.{:02},\"items\":[{{\"sku\":\"A-{}\",\"qty\":{}}},{{\"sku\":\"B-{}\",\"qty\":1}}],\
         \"logged_in\":{},\"experiment\":{{\"name\":\"checkout\",\"variant\":\"{}\"}},\"utm_source\":\"newsletter\",\
         \"utm_campaign\":\"spring sale {}\",\"score\":{},\"comment\":\"said \\\"fine\\\" {}\"}}}}",
        numbers.of(&["Chrome", "Safari", "Firefox", "Edge"]),
        100 + numbers.below(40),
        CITIES[country],
        COUNTRIES[country],
        numbers.below(40),
        numbers.of(&PATHS),
        numbers.below(1_000_000),
        u128::from(numbers.next()),
        numbers.below(9),
        1_700_000_000_000 + numbers.below(86_400_000),
        numbers.of(&["Mac OS X", "Windows", "Linux", "iOS", "Android"]),
        700 + numbers.below(1_000),
        1_000 + numbers.below(2_000),
        numbers.below(2) == 0,
        300 + numbers.below(700),
        numbers.of(&["free", "pro", "enterprise"]),
        numbers.below(500),
        numbers.below(100),
        numbers.below(1_000),
        numbers.below(9),
        numbers.below(1_000),
        numbers.below(2) == 0,
        numbers.of(&["a", "b"]),
        numbers.below(12),
        numbers.below(1_000),
        numbers.below(1_000),
    );
}

/// An event with 27 out of 500 properties.
fn sparse_event(numbers: &mut Numbers, into: &mut String) {
    use std::fmt::Write;
    head(numbers, into);
    let mut property = 0;
    for _ in 0..27 {
        property += 1 + numbers.below(36);
        let property = property % 500;
        let _ = match property % 4 {
            0 => write!(into, ",\"custom property {property}\":{}", numbers.below(100_000)),
            1 => write!(into, ",\"custom property {property}\":{}.5", numbers.below(1_000)),
            2 => write!(into, ",\"custom property {property}\":{}", numbers.below(2) == 0),
            _ => write!(into, ",\"custom property {property}\":\"{}\"", numbers.of(&PATHS)),
        };
    }
    into.push_str("}}");
}

/// Seconds of this thread on a processor, so that a busy machine does no harm; where the system does
/// not tell, seconds of the clock.
fn seconds() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let clock = START.elapsed().as_secs_f64();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|told| told.split(' ').next()?.parse::<u64>().ok());
    told.map_or(clock, |nanoseconds| nanoseconds as f64 / 1e9)
}

/// Reads all lines once and says how many events there were.
type Contender = Box<dyn FnMut(&str) -> usize>;

struct Bench {
    text: String,
    events: usize,
    contenders: Vec<(&'static str, Contender)>,
}

impl Bench {
    fn new(events: usize, event: fn(&mut Numbers, &mut String)) -> Self {
        let mut numbers = Numbers(1);
        let mut text = String::new();
        for _ in 0..events {
            event(&mut numbers, &mut text);
            text.push('\n');
        }
        Self { text, events, contenders: Vec::new() }
    }

    fn add(&mut self, what: &'static str, contender: impl FnMut(&str) -> usize + 'static) {
        self.contenders.push((what, Box::new(contender)));
    }

    /// The best of seven runs of each; by turns, so that a busy spell hits all. The first one is the
    /// reference of the others.
    fn run(mut self, only: Option<&str>) {
        println!("\n{} events of {} bytes", self.events, self.text.len() / self.events);
        self.contenders.retain(|(what, _)| only.is_none_or(|only| what.contains(only)));
        let mut best = vec![f64::INFINITY; self.contenders.len()];
        for _ in 0..7 {
            for ((_, contender), best) in self.contenders.iter_mut().zip(&mut best) {
                let start = seconds();
                assert_eq!(contender(black_box(&self.text)), self.events);
                *best = best.min(seconds() - start);
            }
        }
        for ((what, _), seconds) in self.contenders.iter().zip(&best) {
            println!(
                "{what:<48} {:>10.0} events/s {:>7.0} MB/s {:>7.2}x",
                self.events as f64 / seconds,
                self.text.len() as f64 / seconds / 1e6,
                best[0] / seconds
            );
        }
    }

    fn decode(&mut self, what: &'static str, room: usize, rows: usize) {
        self.add(what, move |text| {
            let plan = ColumnPlan { known: Vec::new(), room };
            let mut decoder = EventDecoder::new(DecodeOptions { plan, ..DecodeOptions::default() });
            let mut events = 0;
            let mut cut = |decoder: &mut EventDecoder| {
                let batch = black_box(decoder.finish_batch());
                assert!(batch.rejects.is_empty());
                events += batch.rows.num_rows();
            };
            for (number, line) in (1..).zip(lines(text)) {
                decoder.push(line, number);
                if decoder.rows() == rows {
                    cut(&mut decoder);
                }
            }
            cut(&mut decoder);
            events
        });
    }
}

fn lines(text: &str) -> impl Iterator<Item = &[u8]> {
    let bytes = text.as_bytes();
    let mut start = 0;
    memchr::memchr_iter(b'\n', bytes).map(move |end| {
        let line = &bytes[start..end];
        start = end + 1;
        line
    })
}

#[derive(serde::Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    properties: Members<'a>,
}

/// All members of an object, each looked at and forgotten.
struct Members<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = ();
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
                while let Some(member) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
                    black_box(member);
                }
                Ok(())
            }
        }
        deserializer.deserialize_map(Reader).map(|()| Members(PhantomData))
    }
}

fn others(bench: &mut Bench) {
    bench.add("serde_json, raw values (the reference)", |text| {
        let event = |line| serde_json::from_slice::<Raw<'_>>(line).expect("valid");
        lines(text).map(event).inspect(|raw| _ = black_box((raw.event, &raw.properties))).count()
    });
    bench.add("memchr, lines only", |text| lines(text).inspect(|line| _ = black_box(line)).count());
    bench.add("sonic-rs, lazy members", |text| {
        let mut events = 0;
        for line in lines(text) {
            for member in sonic_rs::to_object_iter(line) {
                let (key, value) = member.expect("valid");
                if key == "properties" {
                    for property in sonic_rs::to_object_iter(value.as_raw_str()) {
                        let (key, value) = property.expect("valid");
                        black_box((key, value.get_type()));
                    }
                }
            }
            events += 1;
        }
        events
    });
    bench.add("simd-json, tape", |text| {
        let mut buffers = simd_json::Buffers::new(4_096);
        let mut copy = Vec::new();
        let mut events = 0;
        for line in lines(text) {
            copy.clear();
            copy.extend_from_slice(line);
            let tape = simd_json::to_tape_with_buffers(&mut copy, &mut buffers).expect("valid");
            black_box(tape.0.len());
            events += 1;
        }
        events
    });
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let events = words.iter().find_map(|word| word.parse().ok()).unwrap_or(200_000);
    let only = words.iter().map(String::as_str).find(|word| word.parse::<usize>().is_err());

    let mut web = Bench::new(events, web_event);
    others(&mut web);
    web.decode("decoder, text only, batches of 8,192", 0, 8_192);
    web.decode("decoder, 30 columns, batches of 2,048", 2_048, 2_048);
    web.decode("decoder, 30 columns, batches of 8,192", 2_048, 8_192);
    web.decode("decoder, 30 columns, batches of 65,536", 2_048, 65_536);
    web.run(only);

    let mut sparse = Bench::new(events, sparse_event);
    others(&mut sparse);
    sparse.decode("decoder, text only, batches of 8,192", 0, 8_192);
    sparse.decode("decoder, 500 columns, batches of 8,192", 2_048, 8_192);
    sparse.decode("decoder, 500 columns, batches of 65,536", 2_048, 65_536);
    sparse.run(only);
}
