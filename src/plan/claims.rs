//! Whose task it is, when several objects of the cluster name the same one.

use jiff::Timestamp;

/// What an object has to do with a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The object, as `namespace/name`.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Whether it made the task; else it only names it in `spec.adopt`.
    pub made: bool,
}

impl Claim {
    /// The lower, the better: who made the task has it, then the oldest object, then the lower UID.
    fn rank(&self) -> (bool, Timestamp, &str) {
        (!self.made, self.created_at.unwrap_or(Timestamp::MAX), &self.uid)
    }
}

/// The best of the other claims, when it is better than our own.
pub fn rival<'a>(own: &Claim, others: &'a [Claim]) -> Option<&'a Claim> {
    let best = others.iter().filter(|other| other.uid != own.uid).min_by(|a, b| a.rank().cmp(&b.rank()))?;
    (best.rank() < own.rank()).then_some(best)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(uid: &str, second: i64, made: bool) -> Claim {
        let created_at = Some(Timestamp::from_second(second).unwrap());
        Claim { name: format!("media/{uid}"), uid: uid.into(), created_at, made }
    }

    #[test]
    fn the_oldest_claim_wins_and_the_uid_decides_between_twins() {
        let (old, young) = (claim("b", 1, false), claim("a", 2, false));
        assert_eq!(rival(&young, std::slice::from_ref(&old)), Some(&old));
        assert_eq!(rival(&old, std::slice::from_ref(&young)), None);
        let twin = claim("a", 1, false);
        assert_eq!(rival(&old, std::slice::from_ref(&twin)), Some(&twin));
        assert_eq!(rival(&twin, std::slice::from_ref(&old)), None);
    }

    #[test]
    fn who_made_the_task_has_it_whatever_its_age() {
        let (adopter, maker) = (claim("a", 1, false), claim("b", 2, true));
        assert_eq!(rival(&adopter, std::slice::from_ref(&maker)), Some(&maker));
        assert_eq!(rival(&maker, std::slice::from_ref(&adopter)), None);
    }

    proptest! {
        #[test]
        fn exactly_one_of_any_claims_has_no_rival(seconds in prop::collection::vec((0..3_i64, any::<bool>()), 1..8)) {
            let claims: Vec<_> =
                seconds.iter().enumerate().map(|(n, (at, made))| claim(&n.to_string(), *at, *made)).collect();
            let winners = claims.iter().filter(|own| rival(own, &claims).is_none()).count();
            prop_assert_eq!(winners, 1);
        }
    }
}
