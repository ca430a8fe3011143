//! Gets a whiteboard token and an RTC token, and reads why a third request is refused.

use std::{env, error::Error, fs, process, time::Duration};

use serde_json::{Value, json};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_types::StatusExt;

use token_authority::{
    IssueRtcTokenRequest, IssueWhiteboardTokenRequest, RtcRole, WhiteboardRole,
    WhiteboardRoomScope, issue_rtc_token_request as rtc,
    issue_whiteboard_token_request as whiteboard, token_service_client::TokenServiceClient,
};

/// The stubs, made by generate.sh.
#[allow(clippy::enum_variant_names)] // In the contract a `User` is a `UserAccount`, among others.
mod token_authority {
    include!("../gen/token_authority.v1.rs");
}

const ONE_HOUR: prost_types::Duration = prost_types::Duration {
    seconds: 3600,
    nanos: 0,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    match show().await {
        Ok(shown) => println!("{shown}"),
        Err(error) => {
            eprintln!("no token: {}", line(error.as_ref()));
            process::exit(1);
        }
    }
}

async fn show() -> Result<Value, Box<dyn Error>> {
    let channel = connect(
        &variable("TOKEN_AUTHORITY_TARGET")?,
        &variable("TOKEN_AUTHORITY_CA")?,
    )?;
    let bearer = format!("Bearer {}", variable("TOKEN_AUTHORITY_API_KEY")?);
    let mut bearer: MetadataValue<Ascii> = bearer.parse()?;
    bearer.set_sensitive(true); // Not printed with the request, not kept in HPACK's table.
    let client = TokenServiceClient::with_interceptor(channel, move |mut call: Request<()>| {
        call.metadata_mut().insert("authorization", bearer.clone());
        Ok(call)
    });

    let request = IssueWhiteboardTokenRequest {
        scope: Some(whiteboard::Scope::Room(WhiteboardRoomScope {
            room_uuid: "4a50cb3b6a0c4b5e".into(),
        })),
        role: WhiteboardRole::Writer.into(),
        expiration: Some(whiteboard::Expiration::Ttl(ONE_HOUR)),
        ..Default::default()
    };
    let ask = async || client.clone().issue_whiteboard_token(request.clone()).await;
    let whiteboard_token = repeated(ask).await?.issued_token.unwrap_or_default().token;

    let ask = async || client.clone().issue_rtc_token(for_user(7)).await;
    let rtc_token = repeated(ask).await?.issued_token.unwrap_or_default().token;

    let ask = async || client.clone().issue_rtc_token(for_user(0)).await;
    let refused = match repeated(ask).await {
        Ok(_) => return Err("the request was not refused".into()),
        Err(status) => refusal(status)?,
    };
    Ok(json!({
        "whiteboard_token": whiteboard_token,
        "rtc_token": rtc_token,
        "refused": refused,
        // Agora publishes no library for Rust.
        "parsed": null,
        "verified_by": "",
    }))
}

fn connect(target: &str, certificates: &str) -> Result<Channel, Box<dyn Error>> {
    // Only the given authority is trusted; `with_native_roots` would trust the system's.
    let pem = fs::read(certificates).map_err(|error| format!("{certificates}: {error}"))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    Ok(Endpoint::from_shared(format!("https://{target}"))?
        .tls_config(tls)?
        // Of each call: without a deadline it could wait for ever.
        .timeout(Duration::from_secs(5))
        // The first call connects, and is repeated like any other.
        .connect_lazy())
}

fn for_user(uid: i64) -> IssueRtcTokenRequest {
    IssueRtcTokenRequest {
        channel: Some(rtc::Channel::ChannelName("lesson-1".into())),
        user: Some(rtc::User::Uid(uid)),
        rights: Some(rtc::Rights::Role(RtcRole::Publisher.into())),
        expiration: Some(rtc::Expiration::Ttl(ONE_HOUR)),
        ..Default::default()
    }
}

/// Makes a call up to five times in about three seconds, while the server is away.
///
/// tonic knows no service config: these are the figures of client/service_config.json. Every method
/// may be called again without harm.
async fn repeated<T>(
    mut call: impl AsyncFnMut() -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    for pause_ms in [100, 300, 900, 2000] {
        match call().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Cancelled) => {
                tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            }
            answer => return answer.map(Response::into_inner),
        }
    }
    call().await.map(Response::into_inner)
}

/// Reads the details of a refusal, which come beside its code and its text, which is for people.
fn refusal(status: Status) -> Result<Value, Status> {
    let details = status.get_error_details();
    let violation = details
        .bad_request()
        .and_then(|bad| bad.field_violations.first());
    let (Some(info), Some(violation)) = (details.error_info(), violation) else {
        // Not from the token authority, but from something in between: a proxy, or tonic itself.
        return Err(status);
    };
    Ok(json!({
        "code": name(status.code()),
        "reason": info.reason,
        "field": violation.field,
        "violation": violation.reason,
    }))
}

/// Spells a code like other languages do: `INVALID_ARGUMENT`, which Rust calls `InvalidArgument`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Puts a failure into one line.
fn line(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<Status>() {
        Some(status) => format!("{}: {}", name(status.code()), status.message()),
        None => error.to_string(),
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .ok_or_else(|| format!("set {name}"))
}
