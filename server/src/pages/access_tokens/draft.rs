//! What an access token's form holds: as it was typed, what it means, and what is wrong with it.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::super::field::{Errors, Field, sentence};
use super::super::form::Fields;
use super::super::{Refusal, when};
use super::refusal;
use crate::instant;
use crate::platform::methods;
use crate::store::tokens::Token;
use crate::tokens::{Changes, Scope, Settings, TokenError};

/// The choice of a list of one's own.
pub const CUSTOM: &str = "custom";
/// Characters of a token's name: the platform knows a description alone, and its start is the name.
const NAME: usize = 100;

/// A form.
#[derive(Default)]
pub struct Draft {
    description: String,
    expires: String,
    /// A set's name, or [`CUSTOM`].
    pub set: String,
    /// Paths of methods, of a list of one's own.
    pub chosen: Vec<String>,
    /// Words that methods are looked for by, where there is no script.
    pub search: String,
    /// Only those that are checked, where there is no script.
    pub only_checked: bool,
    /// The form was sent only to look for methods.
    looking: bool,
    /// What `expires` means; none: never.
    pub expires_at: Option<i64>,
    /// How long to wait before another password.
    pub wait: Option<u64>,
    /// What is wrong.
    pub errors: Errors,
}

impl Draft {
    /// The settings that a token has. One that may call everything has the widest set.
    pub fn of(token: &Token) -> Self {
        let widest = methods::templates().first().map(|widest| widest.name.to_owned()).unwrap_or_default();
        let (set, chosen) = match (&token.scope.template, &token.scope.methods) {
            (_, Some(list)) => (CUSTOM.to_owned(), list.clone()),
            (Some(name), None) => (name.clone(), Vec::new()),
            (None, None) => (widest, Vec::new()),
        };
        Self {
            description: token.description.clone(),
            expires: token.expires_at.map(when::dashed_day).unwrap_or_default(),
            expires_at: token.expires_at,
            set,
            chosen,
            ..Self::default()
        }
    }

    /// The same for another token; a day that is over is no use to it.
    pub fn copy_of(token: &Token) -> Self {
        let mut draft = Self::of(token);
        draft.description = format!("{} (copy)", token.description);
        if token.expires_at.is_some_and(|at| at <= instant::now()) {
            draft.expires.clear();
        }
        draft
    }

    /// What was sent. A day that is the token's own leaves the time of that day as it is.
    pub fn read(fields: &Fields, token: Option<&Token>) -> Self {
        let mut draft = Self {
            description: fields.get("description").trim().to_owned(),
            set: fields.get("set").to_owned(),
            chosen: fields.all("method").map(str::to_owned).collect(),
            search: fields.get("search").trim().to_lowercase(),
            only_checked: fields.get("only-checked") == "on",
            looking: fields.get("do") == "look",
            ..Self::default()
        };
        if draft.looking {
            fields.get("expires").trim().clone_into(&mut draft.expires);
            return draft;
        }
        if draft.description.is_empty() {
            draft.errors.add("description", "Say what the token is for, so that you can tell it from others.");
        }
        draft.read_expiry(fields, token);
        if draft.set == CUSTOM {
            draft.chosen.sort_unstable();
            draft.chosen.dedup();
            if draft.chosen.is_empty() {
                draft.errors.add("methods", "Check at least one method, or choose a set.");
            }
            if draft.chosen.iter().any(|path| !methods::all().any(|method| method.path() == *path)) {
                draft.errors.add("methods", "One of the methods is none that a token can be made for.");
            }
        } else if methods::template(&draft.set).is_none() {
            draft.errors.add("methods", "Choose what the token may call.");
        }
        draft
    }

    /// The day alone.
    pub fn read_expiry(&mut self, fields: &Fields, token: Option<&Token>) {
        fields.get("expires").trim().clone_into(&mut self.expires);
        let kept = token.and_then(|token| token.expires_at).filter(|at| when::dashed_day(*at) == self.expires);
        self.expires_at = when::last_day(&self.expires, kept, "31-12-2027").unwrap_or_else(|why| {
            self.errors.add("expires", why);
            None
        });
    }

    /// Whether it can be done, as far as can be seen without the password.
    pub fn is_ready(&self) -> bool {
        self.errors.is_empty() && !self.looking
    }

    /// Of a form that is shown again.
    pub fn status(&self) -> StatusCode {
        match (self.looking, self.wait) {
            (true, _) => StatusCode::OK,
            (_, Some(_)) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn scope(&self) -> Scope {
        if self.set == CUSTOM {
            return Scope { template: None, methods: Some(self.chosen.clone()) };
        }
        Scope { template: methods::template(&self.set).map(|set| set.name.to_owned()), methods: None }
    }

    fn name(&self) -> String {
        self.description.chars().take(NAME).collect()
    }

    /// For a new token.
    pub fn settings(&self) -> Settings {
        let description = self.description.clone();
        Settings { name: self.name(), description, expires_at: self.expires_at, scope: self.scope() }
    }

    /// For a token that is copied: all of it.
    pub fn all(&self) -> Changes {
        Changes {
            name: Some(self.name()),
            description: Some(self.description.clone()),
            expires_at: Some(self.expires_at),
            scope: Some(self.scope()),
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
            TokenError::Invalid { field: "description" | "name", reason } => {
                self.errors.add("description", sentence(&format!("the description {reason}")));
            }
            TokenError::Invalid { field: "expires", reason } => self.errors.add("expires", sentence(&reason)),
            error @ TokenError::TooMany => self.errors.add("description", sentence(&error.to_string())),
            other => return Err(refusal(other)),
        }
        Ok(())
    }

    /// Description and day.
    pub fn fields(&self) -> Markup {
        html! {
            (Field {
                name: "description", label: "Description", value: &self.description,
                error: self.errors.of("description"), first: self.errors.is_empty(), ..Field::default()
            }.show())
            (self.expiry_field())
        }
    }

    /// The day alone.
    pub fn expiry_field(&self) -> Markup {
        Field {
            name: "expires",
            label: "Expires at",
            value: &self.expires,
            optional: true,
            hint: "Day, month and year, as 31-12-2027: the last day that it works, in UTC. Empty: it never ends.",
            error: self.errors.of("expires"),
            ..Field::default()
        }
        .show()
    }
}
