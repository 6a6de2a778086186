//! Access tokens: their whole life, as the platform's calls name it. Each change takes the account's password again.

use serde_json::{Value, json};
use uss::Secret;
use uss::virtuozzo::methods::{self as table, Method};

use super::answer::{Answer, Outcome, Refusal, code, date_or_null, read_date};
use super::authentication::confirm;
use super::call::Call;
use super::caller::Caller;
use super::methods;
use crate::api::App;
use crate::store::tokens::{Status, Token};
use crate::tokens::{self, Changes, Kind, Scope, Settings, TokenError};

/// Characters of a token's name; the platform knows a description alone, and its start is the name.
const NAME: usize = 100;

/// `users/authentication/createtoken`
pub async fn create(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let description = call.required("description")?;
    let expires_at = expires_at(call)?.flatten();
    let scope = scope(call)?.ok_or_else(|| {
        Refusal::parameter("apiList", "is missing, and so is 'tokenTemplate': a token needs a set or a list of methods")
    })?;
    confirm(app, caller, call).await?;
    let settings = Settings { name: name(description), description: description.to_owned(), expires_at, scope };
    let made = tokens::create(&app.store, &caller.user, Kind::Access, settings, &caller.entry).await;
    let (token, value) = made.map_err(refusal)?;
    Ok(Answer::ok().with("token", describe(&token, Some(&value))))
}

/// `users/authentication/edittoken`: what is not given stays; an empty `expiresAt` is never.
pub async fn edit(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let id = call.required_number("id")?;
    let description = match call.get("description") {
        Some("") => return Err(Refusal::parameter("description", "is empty")),
        given => given.map(str::to_owned),
    };
    let changes = Changes {
        name: description.as_deref().map(name),
        description,
        expires_at: expires_at(call)?,
        scope: scope(call)?,
    };
    confirm(app, caller, call).await?;
    let token = find(app, caller, id).await?;
    let token = tokens::edit(&app.store, &caller.user, &token.id, changes, &caller.entry).await.map_err(refusal)?;
    Ok(Answer::ok().with("token", describe(&token, None)))
}

/// `users/authentication/regeneratetoken`: a new value, and the old one is over.
pub async fn regenerate(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let id = call.required_number("id")?;
    confirm(app, caller, call).await?;
    let token = find(app, caller, id).await?;
    let made = tokens::regenerate(&app.store, &caller.user, &token.id, Changes::default(), &caller.entry).await;
    let (token, value) = made.map_err(refusal)?;
    Ok(Answer::ok().with("token", describe(&token, Some(&value))))
}

/// `users/authentication/deletetokens`: all of them, or none.
pub async fn delete(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let wanted = call
        .ids("ids", "gettokens")?
        .filter(|ids| !ids.is_empty())
        .ok_or_else(|| Refusal::parameter("ids", "is empty"))?;
    confirm(app, caller, call).await?;
    let found = chosen(app, caller, Some(&wanted)).await?;
    let ids: Vec<String> = found.into_iter().map(|token| token.id).collect();
    tokens::remove(&app.store, &caller.user, &ids, &caller.entry).await.map_err(refusal)?;
    Ok(Answer::ok())
}

/// `users/authentication/gettokens`: those of these ids, or all.
pub async fn list(app: &App, caller: &Caller, call: &Call) -> Outcome {
    let found = chosen(app, caller, call.ids("ids", "gettokens")?.as_deref()).await?;
    let described: Vec<Value> = found.iter().map(|token| describe(token, None)).collect();
    Ok(Answer::ok().with("apiTokens", described))
}

/// `users/authentication/gettokenapilist`. `showPrivate` asks for methods that are not documented: there are none here.
pub fn api_list(call: &Call) -> Answer {
    let search = call.text("search").unwrap_or_default().to_lowercase();
    let found = methods::all().filter(|method| method.path().contains(&search));
    let items: Vec<Value> = found.map(item).collect();
    Answer::ok().with("behavior", "ALLOW").with("tokenPermissions", items)
}

/// `users/authentication/gettokentemplates`
pub fn templates() -> Answer {
    let templates: Vec<Value> = methods::templates().iter().map(template).collect();
    Answer::ok().with("templates", templates)
}

/// A token as the platform's ApiTokenResponse tells it; its value only where it was made just now.
fn describe(token: &Token, value: Option<&Secret>) -> Value {
    let (set, items): (Option<Value>, Vec<Value>) = match (&token.scope.template, &token.scope.methods) {
        (Some(name), _) => {
            (Some(methods::template(name).map_or_else(|| json!({ "name": name }), template)), Vec::new())
        }
        (None, Some(list)) => (None, list.iter().filter_map(|path| table::find(path)).map(item).collect()),
        (None, None) => (None, methods::all().map(item).collect()),
    };
    // The description has no field for it; a token that somebody revoked elsewhere must not look like a good one.
    let state = (token.status() == Status::Revoked).then_some("revoked");
    let described = json!({
        "id": number_of(token),
        "description": token.description,
        "expiresAt": date_or_null(token.expires_at),
        "lastUsed": date_or_null(token.last_used_at),
        "isSystem": false,
        "apiListItems": items,
        "tokenTemplate": set,
        "extraData": state,
        "key": value.map(Secret::expose),
    });
    match described {
        // What it has not is left out, as the platform does; that it never ends, and was never used, is said.
        Value::Object(fields) => {
            let said = |name: &str| matches!(name, "expiresAt" | "lastUsed");
            fields.into_iter().filter(|(name, value)| said(name) || !value.is_null()).collect()
        }
        other => other,
    }
}

fn template(template: &'static methods::Template) -> Value {
    json!({
        "id": template.id,
        "name": template.name,
        "description": template.summary,
        "apiListItems": template.methods().map(item).collect::<Vec<_>>(),
    })
}

/// An ApiListItem: a method by its number and path.
fn item(method: &'static Method) -> Value {
    json!({
        "id": methods::id(method),
        "method": method.path(),
        "isSafe": method.asks(),
        "isCollaborationAccessible": false,
    })
}

/// The platform's ids are numbers, and so are those of tokens that are made for it.
fn number_of(token: &Token) -> i64 {
    token.id.parse().unwrap_or_default()
}

async fn find(app: &App, caller: &Caller, id: i64) -> Result<Token, Refusal> {
    let found = chosen(app, caller, Some(&[id])).await?;
    found.into_iter().next().ok_or_else(|| no_such_token(id))
}

/// The caller's tokens of these ids, each of which has to be there; or all.
async fn chosen(app: &App, caller: &Caller, ids: Option<&[i64]>) -> Result<Vec<Token>, Refusal> {
    let all = tokens::list(&app.store, &caller.user, &[Kind::Access]).await?;
    let Some(ids) = ids else { return Ok(all) };
    let missing = ids.iter().find(|id| !all.iter().any(|token| number_of(token) == **id));
    match missing {
        Some(id) => Err(no_such_token(*id)),
        None => Ok(all.into_iter().filter(|token| ids.contains(&number_of(token))).collect()),
    }
}

fn no_such_token(id: impl std::fmt::Display) -> Refusal {
    Refusal::new(code::NOT_FOUND, format!("the account has no access token {id}"))
}

/// None: not given. `Some(None)`: never.
fn expires_at(call: &Call) -> Result<Option<Option<i64>>, Refusal> {
    match call.get("expiresAt") {
        None => Ok(None),
        Some(text) if text.trim().is_empty() || text == "null" => Ok(Some(None)),
        Some(text) => match read_date(text) {
            Some(at) => Ok(Some(Some(at))),
            None => Err(Refusal::parameter("expiresAt", "is no date; write 2027-12-31 18:00:00, which is UTC")),
        },
    }
}

/// None: not given.
fn scope(call: &Call) -> Result<Option<Scope>, Refusal> {
    match (call.text("tokenTemplate"), call.list("apiList")?) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Refusal::parameter("apiList", "is given beside 'tokenTemplate'; a token has a set or a list, not both"))
        }
        (Some(name), None) => {
            let template = methods::template(name).ok_or_else(|| {
                let names: Vec<_> = methods::templates().iter().map(|template| template.name).collect();
                Refusal::parameter("tokenTemplate", &format!("is none of the sets {}", names.join(", ")))
            })?;
            Ok(Some(Scope { template: Some(template.name.to_owned()), methods: None }))
        }
        (None, Some(items)) => {
            if items.is_empty() {
                return Err(Refusal::parameter("apiList", "holds no method"));
            }
            let mut paths = items.iter().map(|item| listed(item)).collect::<Result<Vec<_>, _>>()?;
            paths.sort_unstable();
            paths.dedup();
            Ok(Some(Scope { template: None, methods: Some(paths) }))
        }
    }
}

fn listed(item: &str) -> Result<String, Refusal> {
    methods::by_id_or_name(item).map(Method::path).ok_or_else(|| {
        let item: String = item.chars().take(100).collect();
        let near: Vec<_> = table::nearest(&item).into_iter().filter(|method| method.is_for_tokens()).collect();
        let near: Vec<_> = near.into_iter().map(Method::path).collect();
        let hint = if near.is_empty() { String::new() } else { format!("; near it: {}", near.join(", ")) };
        Refusal::parameter("apiList", &format!("holds '{item}', which is no method that a token can be made for{hint}"))
    })
}

fn name(description: &str) -> String {
    description.trim().chars().take(NAME).collect()
}

fn refusal(error: TokenError) -> Refusal {
    match error {
        TokenError::Store(error) => error.into(),
        TokenError::Unknown { id } => no_such_token(id),
        TokenError::TooMany => {
            Refusal::new(code::TOO_MANY, "the account holds 100 tokens, and may not have more; remove one first")
        }
        TokenError::Invalid { field, reason } => {
            let parameter = match field {
                "expires" => "expiresAt",
                // The name is the description's start.
                _ => "description",
            };
            Refusal::parameter(parameter, &reason)
        }
    }
}
