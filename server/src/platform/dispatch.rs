//! The calls that this server has. Everything else of the platform's 310 methods is refused as not served, after the same
//! checks.

use super::answer::{Answer, Outcome, Refusal, code, date};
use super::call::Call;
use super::{account, authentication, caller, environments, tokens};
use crate::api::App;
use crate::instant;

/// Does what is asked.
pub async fn dispatch(app: &App, call: &Call) -> Outcome {
    match (call.method.service, call.method.name) {
        ("users/authentication", "signin") => {
            call.check()?;
            return authentication::sign_in(app, call).await;
        }
        ("environment/tracking", "getserverutctime") => {
            return Ok(Answer::ok().with("object", date(instant::now())));
        }
        _ => {}
    }
    let caller = &caller::identify(app, call).await?;
    call.check()?;
    // Accounts here have nobody who works for them: another's number is nobody's business.
    if call.number("ownerUid")?.is_some_and(|uid| uid != account::number(&caller.user.id)) {
        return Err(Refusal::new(code::PERMISSION_DENIED, "the account 'ownerUid' is another one"));
    }
    match (call.method.service, call.method.name) {
        ("users/authentication", "signout") => authentication::sign_out(app, caller).await,
        ("users/authentication", "getsessions") => authentication::list(app, caller).await,
        ("users/authentication", "signoutsessions") => authentication::sign_out_sessions(app, caller, call).await,
        ("users/authentication", "createtoken") => tokens::create(app, caller, call).await,
        ("users/authentication", "edittoken") => tokens::edit(app, caller, call).await,
        ("users/authentication", "regeneratetoken") => tokens::regenerate(app, caller, call).await,
        ("users/authentication", "deletetokens") => tokens::delete(app, caller, call).await,
        ("users/authentication", "gettokens") => tokens::list(app, caller, call).await,
        ("users/authentication", "gettokenapilist") => Ok(tokens::api_list(call)),
        ("users/authentication", "gettokentemplates") => Ok(tokens::templates()),
        ("users/account", "getuserinfo") => Ok(account::user_info(caller)),
        ("billing/account", "getaccount") => Ok(account::account(caller)),
        ("environment/binder", "checkdomain") => environments::check_domain(app, call).await,
        ("environment/control", name) => match name {
            "createenvironment" => environments::create(app, caller, call).await,
            "cloneenv" => environments::clone(app, caller, call).await,
            "changetopology" => environments::change_topology(app, caller, call).await,
            "deleteenv" => environments::delete(app, caller, call).await,
            "startenv" => environments::start(app, caller, call).await,
            "stopenv" => environments::stop(app, caller, call).await,
            "sleepenv" => environments::sleep(app, caller, call).await,
            "getenvs" => environments::list(app, caller).await,
            "getbasicenvsinfo" => environments::basics(app, caller).await,
            "getenvinfo" => environments::info(app, caller, call).await,
            "getnodegroups" => environments::node_groups(app, caller, call).await,
            "getregions" => Ok(environments::regions()),
            "setenvdisplayname" => environments::rename(app, caller, call).await,
            "restartnodes" => environments::nodes::restart(app, caller, call).await,
            "restartnodebyid" => environments::nodes::restart_one(app, caller, call).await,
            "restartcontainerbyid" => environments::nodes::restart_container(app, caller, call).await,
            "restartservices" => environments::nodes::restart_services(app, caller, call).await,
            "redeploycontainers" | "redeploycontainerbyid" | "redeploycontainersbygroup" => {
                environments::nodes::redeploy(app, caller, call).await
            }
            "execcmdbyid" | "execcmdbygroup" => environments::nodes::execute(app, caller, call).await,
            "setnodedisplayname" => environments::nodes::rename(app, caller, call).await,
            _ => Err(not_served(call)),
        },
        _ => Err(not_served(call)),
    }
}

fn not_served(call: &Call) -> Refusal {
    Refusal::new(code::NOT_SERVED, format!("this server does not have the platform's method {}", call.method.path()))
}
