//! The fixed vocabulary of the world: places, devices, goods and words.
//!
//! Texts that stand in JSON as they are must not need escaping, except where the type says otherwise.

/// A country, its city and region; earlier ones have more users.
pub(super) struct Place {
    pub(super) country: &'static str,
    pub(super) city: &'static str,
    pub(super) region: &'static str,
    pub(super) locale: &'static str,
    pub(super) currency: &'static str,
}

const fn place(
    country: &'static str,
    city: &'static str,
    region: &'static str,
    locale: &'static str,
    currency: &'static str,
) -> Place {
    Place { country, city, region, locale, currency }
}

pub(super) const PLACES: [Place; 20] = [
    place("US", "New York", "New York", "en-US", "USD"),
    place("US", "San Francisco", "California", "en-US", "USD"),
    place("US", "Austin", "Texas", "en-US", "USD"),
    place("DE", "München", "Bavaria", "de-DE", "EUR"),
    place("GB", "London", "England", "en-GB", "GBP"),
    place("DE", "Berlin", "Land Berlin", "de-DE", "EUR"),
    place("FR", "Paris", "Île-de-France", "fr-FR", "EUR"),
    place("IN", "Bengaluru", "Karnataka", "en-IN", "INR"),
    place("BR", "São Paulo", "São Paulo", "pt-BR", "BRL"),
    place("JP", "東京", "東京都", "ja-JP", "JPY"),
    place("CA", "Montréal", "Québec", "fr-CA", "CAD"),
    place("ES", "Madrid", "Comunidad de Madrid", "es-ES", "EUR"),
    place("NL", "Amsterdam", "North Holland", "nl-NL", "EUR"),
    place("AU", "Sydney", "New South Wales", "en-AU", "AUD"),
    place("PL", "Kraków", "Małopolskie", "pl-PL", "PLN"),
    place("KR", "서울", "서울특별시", "ko-KR", "KRW"),
    place("MX", "Ciudad de México", "CDMX", "es-MX", "MXN"),
    place("SE", "Göteborg", "Västra Götaland", "sv-SE", "SEK"),
    place("TR", "İstanbul", "İstanbul", "tr-TR", "TRY"),
    place("NG", "Lagos", "Lagos", "en-NG", "NGN"),
];

/// The time zones of [`PLACES`], in their order.
pub(super) const TIME_ZONES: [&str; PLACES.len()] = [
    "America/New_York",
    "America/Los_Angeles",
    "America/Chicago",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Paris",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "America/Toronto",
    "Europe/Madrid",
    "Europe/Amsterdam",
    "Australia/Sydney",
    "Europe/Warsaw",
    "Asia/Seoul",
    "America/Mexico_City",
    "Europe/Stockholm",
    "Europe/Istanbul",
    "Africa/Lagos",
];

/// Operating system, browser, browser version, screen height and width.
pub(super) const DESKTOPS: [(&str, &str, u64, u64, u64); 7] = [
    ("Windows", "Chrome", 137, 1080, 1920),
    ("Mac OS X", "Chrome", 137, 900, 1440),
    ("Mac OS X", "Safari", 18, 1117, 1728),
    ("Windows", "Microsoft Edge", 136, 864, 1536),
    ("iOS", "Mobile Safari", 18, 844, 390),
    ("Android", "Chrome", 136, 915, 412),
    ("Linux", "Firefox", 139, 1080, 1920),
];

/// Library, system, system version, maker, model, screen height and width.
pub(super) const PHONES: [(&str, &str, &str, &str, &str, u64, u64); 6] = [
    ("iphone", "iOS", "18.5", "Apple", "iPhone16,2", 932, 430),
    ("android", "Android", "15", "samsung", "SM-S921B", 2340, 1080),
    ("iphone", "iOS", "17.7.1", "Apple", "iPhone14,5", 844, 390),
    ("android", "Android", "14", "Google", "Pixel 8", 2400, 1080),
    ("android", "Android", "13", "Xiaomi", "2201117TG", 2400, 1080),
    ("iphone", "iOS", "18.4", "Apple", "iPad14,1", 1133, 744),
];

pub(super) const CARRIERS: [&str; 6] = ["T-Mobile", "Verizon", "Vodafone", "O₂", "Jio", ""];

/// Name, category, price in cents; early ones sell best.
pub(super) const PRODUCTS: [(&str, &str, u64); 16] = [
    ("Canvas Tote", "Bags", 1999),
    ("Ceramic Mug", "Kitchen", 1250),
    ("Wool Socks", "Clothing", 900),
    ("Desk Lamp", "Home", 4500),
    ("Café Blend 1kg", "Food & Drink", 2190),
    ("Trail Shoes", "Clothing", 11900),
    ("Notebook A5", "Office", 700),
    ("抹茶セット", "Food & Drink", 3800),
    ("Rain Jacket", "Clothing", 8995),
    ("Headphones", "Electronics", 19900),
    ("Plant Pot", "Home", 1600),
    ("Baby Blanket", "Kids", 2750),
    ("Fountain Pen", "Office", 6400),
    ("Smørrebrød Board", "Kitchen", 3300),
    ("Bluetooth Speaker", "Electronics", 7999),
    ("Standing Desk", "Office", 49900),
];

pub(super) const SEARCHES: [&str; 10] = [
    "mug",
    "socks",
    "gift",
    "lamp",
    "kaffee",
    "shoes size 42",
    "抹茶",
    "crème brûlée torch",
    "🎁",
    "desk 120x60",
];

/// Source, medium, campaign.
pub(super) const CAMPAIGNS: [(&str, &str, &str); 6] = [
    ("google", "cpc", "brand_2025"),
    ("newsletter", "email", "spring-sale"),
    ("facebook", "social", "lookalike_eu"),
    ("google", "organic", ""),
    ("partner", "referral", "summer launch"),
    ("tiktok", "social", "été_2025"),
];

pub(super) const REFERRERS: [(&str, &str); 5] = [
    ("https://www.google.com/", "www.google.com"),
    ("$direct", "$direct"),
    ("https://t.co/", "t.co"),
    ("https://www.bing.com/search?q=mugs", "www.bing.com"),
    ("https://news.ycombinator.com/item?id=4242", "news.ycombinator.com"),
];

pub(super) const PAGES: [&str; 8] = [
    "/",
    "/products",
    "/products?sort=price&page=2",
    "/about",
    "/blog/how-we-pack",
    "/help",
    "/account",
    "/cart",
];

pub(super) const SERVICES: [&str; 4] = ["orders", "billing", "shipping", "crm-sync"];

/// What people write; these do need escaping. Among them are U+2028, U+2029, U+0085 and characters outside the
/// basic plane, all of which are legal inside a JSON string and trip programs that split lines carelessly.
pub(super) const NOTES: [&str; 9] = [
    "Great service, thank you!",
    "First line\u{2028}second line",
    "Paragraph one\u{2029}paragraph two",
    "She said \"perfect\" \\ I agree",
    "Sehr schön 👍🏽 — gerne wieder",
    "配送がとても早かったです。ありがとう！",
    "tab\tand\nnewline, both escaped",
    "next\u{85}line and nul-free",
    "مرحبا 👨‍👩‍👧‍👦 family pack",
];

pub(super) const FIRST_NAMES: [&str; 12] = [
    "Ada", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Grace", "Hiro", "Inés", "João", "Kwame", "Łucja",
];
pub(super) const LAST_NAMES: [&str; 10] =
    ["Adler", "Brown", "Costa", "Dubois", "Eriksson", "Fischer", "García", "Hansen", "Ito", "Kowalski"];
pub(super) const INDUSTRIES: [&str; 6] =
    ["Retail", "Software", "Food & Drink", "Médias", "建設", "non-profit / \"other\""];
