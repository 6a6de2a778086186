//! Bearers: signed JWTs (RFC 7519) with one pinned algorithm, carrying the id of the token that they came from.
//!
//! A valid signature alone opens nothing: the token's state is read on every request.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::instant::{self, SECOND};
use crate::keys::Keys;
use crate::store::tokens::Token;

const ALGORITHM: Algorithm = Algorithm::HS256;
const ISSUER: &str = "uss-server";
const AUDIENCE: &str = "update-service";

/// What a bearer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// Seconds since 1970.
    exp: i64,
    iat: i64,
    /// The user's id.
    pub sub: String,
    /// Names this bearer.
    pub jti: String,
    /// The personal token's id.
    pub tid: String,
    /// Which of the token's values it came from.
    #[serde(rename = "gen")]
    pub generation: i64,
}

/// Signs and checks.
pub struct Bearers {
    kid: String,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    /// Microseconds.
    life: i64,
}

/// A bearer and when it ends, in microseconds.
pub struct Issued {
    /// The JWT.
    pub value: String,
    /// Its `exp`.
    pub expires_at: i64,
    /// Its `jti`.
    #[cfg_attr(not(feature = "faults"), allow(dead_code))]
    pub jti: String,
}

impl Bearers {
    /// Bearers that live `life` microseconds.
    pub fn new(keys: &Keys, life: i64) -> Self {
        let key = keys.bearer();
        let mut validation = Validation::new(ALGORITHM);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.leeway = 0;
        Self {
            kid: keys.kid.clone(),
            signing: EncodingKey::from_secret(&key),
            checking: DecodingKey::from_secret(&key),
            validation,
            life,
        }
    }

    /// A bearer for this user and token; it ends no later than the token does.
    pub fn issue(&self, user_id: &str, token: &Token) -> Result<Issued, String> {
        let now = instant::now();
        let expires_at = token.expires_at.unwrap_or(i64::MAX).min(now + self.life);
        // Whole seconds: the JWT counts in them, and the answer must not promise more.
        let exp = expires_at / SECOND;
        let jti = crate::store::new_id();
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            exp,
            iat: now / SECOND,
            sub: user_id.into(),
            jti: jti.clone(),
            tid: token.id.clone(),
            generation: token.generation,
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(ALGORITHM) };
        let value = jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|error| error.to_string())?;
        Ok(Issued { value, expires_at: exp * SECOND, jti })
    }

    /// What a bearer says, if this server signed it and it has not expired.
    pub fn check(&self, value: &str) -> Option<Claims> {
        let decoded = jsonwebtoken::decode::<Claims>(value, &self.checking, &self.validation).ok()?;
        (decoded.header.kid.as_deref() == Some(self.kid.as_str())).then_some(decoded.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::HOUR;
    use crate::store::tokens::{Kind, Scope};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn keys() -> (tempfile::TempDir, Keys) {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::read_or_create(&folder.path().join("keys.json")).unwrap();
        (folder, keys)
    }

    fn token(expires_at: Option<i64>) -> Token {
        Token {
            id: "t".into(),
            kind: Kind::Personal,
            generation: 3,
            scope: Scope::default(),
            name: "n".into(),
            description: String::new(),
            created_at: 0,
            expires_at,
            revoked_at: None,
            last_used_at: None,
            last_used_from: None,
        }
    }

    fn sign(header: &Header, claims: &Claims, keys: &Keys) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(&keys.bearer())).unwrap()
    }

    #[test]
    fn what_is_issued_is_accepted_and_names_its_token() {
        let (_folder, keys) = keys();
        let bearers = Bearers::new(&keys, HOUR);
        let issued = bearers.issue("u", &token(None)).unwrap();
        let claims = bearers.check(&issued.value).unwrap();
        assert_eq!((claims.sub.as_str(), claims.tid.as_str(), claims.generation), ("u", "t", 3));
        assert_eq!(claims.jti, issued.jti);
    }

    #[test]
    fn a_bearer_never_outlives_its_token() {
        let (_folder, keys) = keys();
        let soon = instant::now() + 5 * SECOND;
        let issued = Bearers::new(&keys, HOUR).issue("u", &token(Some(soon))).unwrap();
        assert!(issued.expires_at <= soon);
    }

    #[test]
    fn swapped_algorithms_expired_foreign_and_incomplete_bearers_are_refused() {
        let (_folder, keys) = keys();
        let bearers = Bearers::new(&keys, HOUR);
        let good = bearers.check(&bearers.issue("u", &token(None)).unwrap().value).unwrap();
        let header = |alg| Header { kid: Some(keys.kid.clone()), ..Header::new(alg) };
        assert!(bearers.check(&sign(&header(Algorithm::HS256), &good, &keys)).is_some());
        assert!(bearers.check(&sign(&header(Algorithm::HS512), &good, &keys)).is_none(), "HS512");
        assert!(bearers.check(&sign(&Header::new(Algorithm::HS256), &good, &keys)).is_none(), "no kid");
        for bad in [
            Claims { exp: instant::now() / SECOND - 1, ..good.clone() },
            Claims { iss: "x".into(), ..good.clone() },
            Claims { aud: "x".into(), ..good.clone() },
        ] {
            assert!(bearers.check(&sign(&header(Algorithm::HS256), &bad, &keys)).is_none(), "{bad:?}");
        }
        let none = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"none","kid":"{}"}}"#, keys.kid)),
            URL_SAFE_NO_PAD.encode(serde_json::to_vec(&good).unwrap())
        );
        assert!(bearers.check(&none).is_none(), "alg none");
        let mut broken = bearers.issue("u", &token(None)).unwrap().value;
        broken.pop();
        assert!(bearers.check(&broken).is_none());
    }
}
