use std::collections::HashSet;

use super::*;
use crate::instant::HOUR;
use crate::store::tests::store;
use crate::store::users::{self, NewUser};

async fn user(store: &Store, name: &str) -> User {
    let (name, email) = (name.to_owned(), format!("{name}@example.com"));
    let (first_name, last_name) = (String::new(), String::new());
    let user = NewUser { name: name.clone(), email, first_name, last_name, admin: false, password_hash: None };
    users::add(store, &user, &Entry::command_line()).await.unwrap();
    users::find(&store.database, &name).await.unwrap().unwrap()
}

fn named(name: &str) -> Settings {
    Settings { name: name.into(), ..Settings::default() }
}

async fn made(store: &Store, owner: &User, settings: Settings) -> Result<(Token, Secret), TokenError> {
    create(store, owner, Kind::Personal, settings, &Entry::command_line()).await
}

fn field<T: std::fmt::Debug>(outcome: Result<T, TokenError>) -> &'static str {
    match outcome.unwrap_err() {
        TokenError::Invalid { field, reason } => {
            assert!(!reason.is_empty());
            field
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_and_nothing_is_made() {
    let (_folder, store) = store().await;
    let ada = user(&store, "ada").await;
    for name in ["", "   ", &"n".repeat(101), "a\u{7}b", "a\nb", "<script>alert(1)</script>", "a<b", "a>b"] {
        assert_eq!(field(made(&store, &ada, named(name)).await), "name", "{name:?}");
    }
    let described = |text: &str| Settings { description: text.into(), ..named("n") };
    for description in ["d".repeat(1001), "a\u{0}b".into()] {
        assert_eq!(field(made(&store, &ada, described(&description)).await), "description");
    }
    let past = Settings { expires_at: Some(instant::now() - 1), ..named("n") };
    assert_eq!(field(made(&store, &ada, past).await), "expires");
    assert!(list(&store, &ada, &[Kind::Personal]).await.unwrap().is_empty());
    let (script, _) = made(&store, &ada, described(" <script>alert(1)</script> ")).await.unwrap();
    assert_eq!(script.description, "<script>alert(1)</script>", "a description is any text");
    let access = issue(&store, &ada, Kind::Access, described("<b>n</b>"), &Entry::command_line()).await;
    assert_eq!(field(access), "description", "what an access token is called by");
    let renamed = Changes { name: Some("<b>n</b>".into()), ..Changes::default() };
    assert_eq!(field(edit(&store, &ada, &script.id, renamed, &Entry::command_line()).await), "name");
}

#[tokio::test]
async fn an_account_has_a_hundred_tokens_however_many_ask_at_once() {
    let (_folder, store) = store().await;
    let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
    for n in 0..95 {
        made(&store, &ada, named(&n.to_string())).await.unwrap();
    }
    let rest = (0..20).map(|n| {
        let (store, ada) = (store.clone(), ada.clone());
        tokio::spawn(async move { made(&store, &ada, named(&format!("late {n}"))).await })
    });
    let (mut there, mut refused) = (0, 0);
    for made in rest.collect::<Vec<_>>() {
        match made.await.unwrap() {
            Ok(_) => there += 1,
            Err(TokenError::TooMany) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((there, refused), (5, 15));
    let id = list(&store, &ada, &[Kind::Personal]).await.unwrap()[0].id.clone();
    let by = Entry::command_line();
    assert!(matches!(copy(&store, &ada, &id, Changes::default(), &by).await, Err(TokenError::TooMany)));
    made(&store, &bob, named("bob's")).await.unwrap();
    remove(&store, &ada, &[id], &by).await.unwrap();
    made(&store, &ada, named("room again")).await.unwrap();
}

#[tokio::test]
async fn another_users_token_is_unknown_to_everyone_else() {
    let (_folder, store) = store().await;
    let (ada, bob) = (user(&store, "ada").await, user(&store, "bob").await);
    let by = Entry::command_line();
    let (hers, _) = made(&store, &ada, named("hers")).await.unwrap();
    let (his, _) = made(&store, &bob, named("his")).await.unwrap();
    let id = hers.id.as_str();
    let unknown = |outcome: Result<(), TokenError>| assert!(matches!(outcome, Err(TokenError::Unknown { .. })));
    unknown(edit(&store, &bob, id, Changes::default(), &by).await.map(drop));
    unknown(regenerate(&store, &bob, id, Changes::default(), &by).await.map(drop));
    unknown(copy(&store, &bob, id, Changes::default(), &by).await.map(drop));
    unknown(revoke(&store, &bob, id, &by).await.map(drop));
    // All or none.
    unknown(remove(&store, &bob, &[his.id.clone(), id.to_owned()], &by).await);
    assert_eq!(list(&store, &bob, &[Kind::Personal]).await.unwrap().len(), 1);
    assert_eq!(list(&store, &ada, &[Kind::Personal]).await.unwrap()[0].status(), Status::Active);
}

#[tokio::test]
async fn a_new_value_voids_the_old_one_and_keeps_the_settings() {
    let (_folder, store) = store().await;
    let ada = user(&store, "ada").await;
    let by = Entry::command_line();
    let settings = Settings { description: "d".into(), expires_at: Some(instant::now() + HOUR), ..named("n") };
    let (token, old) = made(&store, &ada, settings).await.unwrap();
    let (again, new) = regenerate(&store, &ada, &token.id, Changes::default(), &by).await.unwrap();
    assert_eq!((&again.id, again.expires_at, again.generation), (&token.id, token.expires_at, 1));
    let found = async |value: &Secret| {
        let hash = hash(&store.keys, value.expose());
        tokens::find_by_hash(&store.database, &hash).await.unwrap().map(|(token, _)| (token.id, token.generation))
    };
    assert_eq!((found(&old).await, found(&new).await), (None, Some((token.id.clone(), 1))));
    revoke(&store, &ada, &token.id, &by).await.unwrap();
    assert_eq!(field(regenerate(&store, &ada, &token.id, Changes::default(), &by).await), "status");
    // A copy of a revoked one lives.
    let renamed = Changes { name: Some("m".into()), ..Changes::default() };
    let (copied, _) = copy(&store, &ada, &token.id, renamed, &by).await.unwrap();
    assert_eq!((copied.name.as_str(), copied.description.as_str(), copied.status()), ("m", "d", Status::Active));
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_an_expired_token_lives_again() {
    let (_folder, store) = store().await;
    let ada = user(&store, "ada").await;
    let by = Entry::command_line();
    let past = Settings { expires_at: Some(1), ..named("n") };
    let (token, _) = issue(&store, &ada, Kind::Personal, past, &by).await.unwrap();
    assert_eq!(token.status(), Status::Expired);
    let renamed = Changes { name: Some("m".into()), ..Changes::default() };
    assert_eq!(edit(&store, &ada, &token.id, renamed, &by).await.unwrap().expires_at, Some(1));
    assert_eq!(field(copy(&store, &ada, &token.id, Changes::default(), &by).await), "expires");
    let never = Changes { expires_at: Some(None), ..Changes::default() };
    edit(&store, &ada, &token.id, never, &by).await.unwrap();
    let found = list(&store, &ada, &[Kind::Personal]).await.unwrap().remove(0);
    assert_eq!((found.name.as_str(), found.expires_at, found.status()), ("m", None, Status::Active));
}

#[tokio::test]
async fn a_new_value_and_a_new_end_come_together_or_not_at_all() {
    let (_folder, store) = store().await;
    let ada = user(&store, "ada").await;
    let by = Entry::command_line();
    let past = Settings { expires_at: Some(1), ..named("n") };
    let (token, _) = issue(&store, &ada, Kind::Personal, past, &by).await.unwrap();
    let never = Changes { expires_at: Some(None), ..Changes::default() };
    let state = async || {
        let token = list(&store, &ada, &[Kind::Personal]).await.unwrap().remove(0);
        (token.expires_at, token.generation)
    };
    let pool = store.database.pool();
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE OF value_hash ON tokens BEGIN SELECT RAISE(ABORT, 'no'); END";
    sqlx::query(refuse).execute(pool).await.unwrap();
    regenerate(&store, &ada, &token.id, never.clone(), &by).await.unwrap_err();
    assert_eq!(state().await, (Some(1), 0), "the end is as it was where the value could not be written");
    sqlx::query("DROP TRIGGER refuse").execute(pool).await.unwrap();
    let late = Changes { expires_at: Some(Some(2)), ..Changes::default() };
    assert_eq!(field(regenerate(&store, &ada, &token.id, late, &by).await), "expires");
    assert_eq!(state().await, (Some(1), 0));
    let (again, _) = regenerate(&store, &ada, &token.id, never, &by).await.unwrap();
    assert_eq!((again.status(), state().await), (Status::Active, (None, 1)));
}

#[tokio::test]
async fn access_tokens_have_numbers_and_keep_their_scope() {
    let (_folder, store) = store().await;
    let ada = user(&store, "ada").await;
    let scope = Scope { template: None, methods: Some(vec!["environment.control.stopenv".into()]) };
    let mut ids = HashSet::new();
    for n in 0..20 {
        let settings = Settings { scope: scope.clone(), ..named(&n.to_string()) };
        let (token, _) = create(&store, &ada, Kind::Access, settings, &Entry::command_line()).await.unwrap();
        assert!(token.id.parse::<i32>().unwrap() > 0);
        ids.insert(token.id);
    }
    let all = list(&store, &ada, &[Kind::Access]).await.unwrap();
    assert!(all.iter().all(|token| token.scope == scope && ids.contains(&token.id)));
    assert_eq!((ids.len(), list(&store, &ada, &[Kind::Personal]).await.unwrap().len()), (20, 0));
}
