//! What a token's form holds: as it was typed, what it means, and what is wrong with it.

use maud::{Markup, html};

use super::super::field::{Errors, Field, sentence};
use super::super::form::Fields;
use super::super::{Refusal, when};
use super::refusal;
use crate::instant;
use crate::store::tokens::Token;
use crate::tokens::{self, Changes, Kind, Scope, Settings, TokenError};

/// Said where a token would be one too many.
pub const TOO_MANY: &str = "You have 100 tokens, which is the most an account may have. Remove one first.";

/// A form.
#[derive(Default)]
pub struct Draft {
    name: String,
    description: String,
    expires: String,
    client_service: bool,
    /// What `expires` means; none: never.
    pub expires_at: Option<i64>,
    /// What is wrong.
    pub errors: Errors,
}

impl Draft {
    /// The settings that a token has.
    pub fn of(token: &Token) -> Self {
        Self {
            name: token.name.clone(),
            description: token.description.clone(),
            expires: token.expires_at.map(when::iso_day).unwrap_or_default(),
            client_service: token.kind == Kind::ClientService,
            expires_at: token.expires_at,
            errors: Errors::default(),
        }
    }

    /// The same for another token; a day that is over is no use to it.
    pub fn copy_of(token: &Token) -> Self {
        let mut draft = Self::of(token);
        draft.name = format!("{} (copy)", token.name);
        if token.expires_at.is_some_and(|at| at <= instant::now()) {
            draft.expires.clear();
        }
        draft
    }

    /// What was sent. A day that is the token's own leaves the time of that day as it is.
    pub fn read(fields: &Fields, token: Option<&Token>) -> Self {
        let mut draft = Self {
            name: fields.get("name").trim().to_owned(),
            description: fields.get("description").replace("\r\n", "\n").trim().to_owned(),
            client_service: fields.get("kind") == "client-service",
            ..Self::default()
        };
        if draft.name.is_empty() {
            draft.errors.add("name", "Give the token a name, so that you can tell it from others.");
        }
        draft.read_expiry(fields, token);
        draft
    }

    /// The day alone.
    pub fn read_expiry(&mut self, fields: &Fields, token: Option<&Token>) {
        fields.get("expires").trim().clone_into(&mut self.expires);
        let kept = token.and_then(|token| token.expires_at).filter(|at| when::iso_day(*at) == self.expires);
        if self.expires.is_empty() && self.client_service && token.is_none() {
            self.expires_at = tokens::client_service_end();
            return;
        }
        self.expires_at = when::last_day(&self.expires, kept, "2027-12-31").unwrap_or_else(|why| {
            self.errors.add("expires", why);
            None
        });
    }

    /// Whose token it is.
    pub fn kind(&self) -> Kind {
        if self.client_service { Kind::ClientService } else { Kind::Personal }
    }

    /// For a new token.
    pub fn settings(&self) -> Settings {
        Settings {
            name: self.name.clone(),
            description: self.description.clone(),
            expires_at: self.expires_at,
            scope: Scope { template: None, methods: None },
        }
    }

    /// For a token that is copied: all of it.
    pub fn all(&self) -> Changes {
        Changes {
            name: Some(self.name.clone()),
            description: Some(self.description.clone()),
            expires_at: Some(self.expires_at),
            scope: None,
        }
    }

    /// For a token that is edited: a day that has not changed may be over already.
    pub fn changes(&self, token: &Token) -> Changes {
        let mut changes = self.all();
        changes.expires_at = changes.expires_at.filter(|at| *at != token.expires_at);
        changes
    }

    /// Puts the core's refusal to the field that it is about.
    pub fn take(&mut self, error: TokenError) -> Result<(), Refusal> {
        match error {
            TokenError::Invalid { field: "description", reason } => {
                self.errors.add("description", sentence(&format!("the description {reason}")));
            }
            TokenError::Invalid { field: "expires" | "expires_at", reason } => {
                self.errors.add("expires", sentence(&reason));
            }
            TokenError::Invalid { field: "name", reason } => {
                self.errors.add("name", sentence(&format!("the name {reason}")));
            }
            TokenError::TooMany => self.errors.add("name", TOO_MANY),
            other => return Err(refusal(other)),
        }
        Ok(())
    }

    /// The form's fields.
    pub fn fields(&self, new: bool) -> Markup {
        html! {
            (Field {
                name: "name", label: "Name", value: &self.name, error: self.errors.of("name"),
                first: self.errors.is_empty(), hint: "For you to tell it from others, like “nightly build”.",
                ..Field::default()
            }.show())
            (Field {
                name: "description", label: "Description", kind: "area", value: &self.description, optional: true,
                error: self.errors.of("description"), ..Field::default()
            }.show())
            (self.expiry_field())
            @if new {
                fieldset.choices {
                    legend { "For" }
                    (self.choice("personal", "Me", "It may do all that you may."))
                    (self.choice("client-service", "A client service",
                        "It may only read: packages, versions and installers. Without a date it ends after 12 months."))
                }
            }
        }
    }

    /// The day alone.
    pub fn expiry_field(&self) -> Markup {
        Field {
            name: "expires",
            label: "Expires",
            kind: "date",
            value: &self.expires,
            optional: true,
            hint: "The last day that it works, in UTC. Empty: it never ends.",
            error: self.errors.of("expires"),
            ..Field::default()
        }
        .show()
    }

    fn choice(&self, value: &str, label: &str, hint: &str) -> Markup {
        let id = format!("kind-{value}");
        html! {
            div.choice {
                input type="radio" name="kind" id=(id) value=(value) aria-describedby={ (id) "-hint" }
                    checked[(value == "client-service") == self.client_service];
                label for=(id) { (label) }
                p.hint id={ (id) "-hint" } { (hint) }
            }
        }
    }
}
