//! The funnels that the project has saved, all of them over the shop's own events.

/// A saved funnel.
pub(in crate::query) struct Saved {
    pub(in crate::query) id: i64,
    pub(in crate::query) name: &'static str,
    pub(in crate::query) steps: &'static [&'static str],
    /// How many days a user has, unless the query says otherwise.
    pub(in crate::query) days: i64,
}

pub(in crate::query) const FUNNELS: [Saved; 3] = [
    Saved {
        id: 7501,
        name: "Purchase funnel",
        steps: &["Product Viewed", "Add to Cart", "Checkout Started", "Purchase"],
        days: 14,
    },
    Saved { id: 7502, name: "Sign-up to first purchase", steps: &["Signed Up", "Purchase"], days: 30 },
    Saved { id: 7503, name: "Search to cart", steps: &["Search", "Product Viewed", "Add to Cart"], days: 1 },
];

/// The funnel with an id.
pub(in crate::query) fn find(id: i64) -> Option<&'static Saved> {
    FUNNELS.iter().find(|funnel| funnel.id == id)
}
