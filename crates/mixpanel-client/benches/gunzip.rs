//! How fast gzip is undone, CRC and length checked, by the libraries that one could choose.
//!
//! `cargo bench --profile dev --workspace --bench gunzip [-- events]` prints the processor time of one core for the
//! simulator's events at the two levels that servers use. Rounds are interleaved and the best counts; the reference
//! is zlib-rs, which a fetch uses.
#![allow(missing_docs)]

use std::hint::black_box;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use libz_sys::z_stream;
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use mixpanel_client::export::{ContentEncoding, Decompressed};
use mixpanel_sim::{SimConfig, World};

/// How much comes off the wire at a time, and how much is given back at a time.
const BLOCK_IN: usize = 64 << 10;
const BLOCK_OUT: usize = 512 << 10;

/// A contender: undoes all of it, and tells how many bytes that were.
type Contender = (&'static str, fn(&[u8]) -> u64);

const ZLIB_NG: &str = "zlib-ng, in C";

const CONTENDERS: [Contender; 5] = [
    ("zlib-rs, through flate2 (reference)", zlib_rs),
    ("ours: zlib-rs, blocks, every trailer proven", ours),
    (ZLIB_NG, zlib_ng),
    ("libdeflate, in C, all of it in memory", libdeflate),
    ("miniz_oxide", miniz),
];

fn main() {
    // `cargo test --benches` passes no `--bench`: a short run shows that it works.
    let whole = std::env::args().any(|word| word == "--bench");
    let named = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let events: u64 = named.unwrap_or(if whole { 200_000 } else { 2_000 });
    let world = World::generate(&SimConfig { total_events: Some(events), ..SimConfig::million() });
    let plain: Vec<u8> = world.days().iter().flat_map(|day| day.jsonl().iter().copied()).collect();
    if !has_zlib_ng() {
        println!("without zlib-ng: as it is built here, without cmake, it needs a processor with AVX-512");
    }
    for level in [1, 6] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(&plain).unwrap();
        run(level, &plain, &encoder.finish().unwrap(), if whole { 7 } else { 1 });
    }
}

/// Whether zlib-ng can run: its build without cmake gives all of its files the flags of the newest
/// processors, and would end in an illegal instruction on others.
fn has_zlib_ng() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx512bw") && std::is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

fn run(level: u32, plain: &[u8], packed: &[u8], rounds: u32) {
    let mut best = [Duration::MAX; CONTENDERS.len()];
    let runs = |name: &str| name != ZLIB_NG || has_zlib_ng();
    for _ in 0..rounds {
        for (best, (name, undo)) in best.iter_mut().zip(CONTENDERS).filter(|(_, (name, _))| runs(name)) {
            let before = thread_time();
            let bytes = undo(packed);
            *best = (thread_time() - before).min(*best);
            assert_eq!(bytes, plain.len() as u64, "{name}");
        }
    }
    println!(
        "\n{:.0} MB of events in {:.0} MB of gzip, level {level}, best of {rounds}",
        plain.len() as f64 / 1e6,
        packed.len() as f64 / 1e6
    );
    println!("{:<46}{:>10}{:>10}{:>8}", "library", "CPU ms", "MB/s", "ratio");
    for (time, (name, _)) in best.iter().zip(CONTENDERS).filter(|(_, (name, _))| runs(name)) {
        println!(
            "{name:<46}{:>10.0}{:>10.0}{:>8.2}",
            time.as_secs_f64() * 1e3,
            plain.len() as f64 / 1e6 / time.as_secs_f64(),
            best[0].as_secs_f64() / time.as_secs_f64(),
        );
    }
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn zlib_rs(packed: &[u8]) -> u64 {
    let mut decoder = flate2::read::MultiGzDecoder::new(packed);
    let mut block = vec![0; BLOCK_OUT];
    let mut bytes = 0;
    loop {
        match decoder.read(&mut block).unwrap() {
            0 => return bytes,
            count => bytes += black_box(&block[..count]).len() as u64,
        }
    }
}

fn ours(packed: &[u8]) -> u64 {
    let blocks = packed.chunks(BLOCK_IN).map(|block| Ok(Bytes::copy_from_slice(block)));
    let plain = Decompressed::new(ContentEncoding::Gzip, blocks);
    plain.map(|block| black_box(block.unwrap()).len() as u64).sum()
}

fn zlib_ng(packed: &[u8]) -> u64 {
    let mut block = vec![0; BLOCK_OUT];
    let mut bytes = 0;
    // Zeroed, it asks for the library's own allocator. It is never read as a value in Rust, where its functions must
    // not be null: only through the pointer.
    let mut state = Box::new(MaybeUninit::<z_stream>::zeroed());
    let state = state.as_mut_ptr();
    // SAFETY: the state is made by `inflateInit2_` and destroyed by `inflateEnd`; pointers and lengths are those of
    // slices that live during each call.
    unsafe {
        // 16 on top of the largest window asks for gzip, and for its checks.
        let size = i32::try_from(size_of::<z_stream>()).unwrap();
        assert_eq!(libz_sys::inflateInit2_(state, 15 + 16, libz_sys::zlibVersion(), size), libz_sys::Z_OK);
        for input in packed.chunks(BLOCK_IN) {
            (*state).next_in = input.as_ptr().cast_mut();
            (*state).avail_in = u32::try_from(input.len()).unwrap();
            while (*state).avail_in > 0 {
                (*state).next_out = block.as_mut_ptr();
                (*state).avail_out = u32::try_from(block.len()).unwrap();
                let status = libz_sys::inflate(state, libz_sys::Z_NO_FLUSH);
                assert!(status == libz_sys::Z_OK || status == libz_sys::Z_STREAM_END, "status {status}");
                bytes += block.len() as u64 - u64::from((*state).avail_out);
                black_box(&block);
            }
        }
        libz_sys::inflateEnd(state);
    }
    bytes
}

fn libdeflate(packed: &[u8]) -> u64 {
    // It wants all of the output at once; the trailer says how much that is.
    let length = u32::from_le_bytes(*packed.last_chunk().unwrap()) as usize;
    let mut plain = vec![0; length];
    let bytes = libdeflater::Decompressor::new().gzip_decompress(packed, &mut plain).unwrap();
    black_box(&plain[..bytes]).len() as u64
}

fn miniz(packed: &[u8]) -> u64 {
    // flate2 writes a header of ten bytes, and the trailer is eight.
    let (body, trailer) = packed[10..].split_at(packed.len() - 18);
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let mut block = vec![0; BLOCK_OUT];
    let mut crc = Crc::new();
    for mut input in body.chunks(BLOCK_IN) {
        loop {
            let result = inflate(&mut state, input, &mut block, MZFlush::None);
            input = &input[result.bytes_consumed..];
            crc.update(black_box(&block[..result.bytes_written]));
            match result.status {
                Ok(MZStatus::StreamEnd) => break,
                Ok(_) if result.bytes_written == 0 && input.is_empty() => break,
                Ok(_) => {}
                Err(MZError::Buf) => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    let expected: [u32; 2] = [0, 4].map(|at| u32::from_le_bytes(trailer[at..at + 4].try_into().unwrap()));
    assert_eq!([crc.sum(), crc.amount()], expected);
    u64::from(crc.amount())
}
