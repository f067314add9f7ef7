use std::time::Duration;

use clap::ArgAction;
use envoi::Dsn;
use envoi::envelope::Scheme;
use http::Uri;

use super::exam;
use super::remedy::Scene;
use super::sheet::{Part, Sheet, Step, Verdict};
use crate::error::{CliError, Exit, chain};
use crate::output::Output;
use crate::target::DsnArgs;
use crate::text;
use crate::transport;
use crate::way::{Choice, WayArgs};

/// Walk the way from a DSN to its server step by step, and say what is wrong and how to mend it
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    target: DsnArgs,

    #[command(flatten)]
    way: WayArgs,

    /// How long each step may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = text::deadline)]
    timeout: Duration,

    /// Print one JSON document
    #[arg(long)]
    json: bool,

    /// Trace the request as well; -vv traces more
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

const HELP: &str = "\
Examples:
  envoi doctor --dsn https://key@o1.ingest.example.com/42
  SENTRY_DSN=… envoi doctor --proxy http://proxy.internal:3128
  envoi doctor --dsn … --cacert company-ca.pem --json | jq '.steps[] | select(.verdict == \"failed\")'

The steps: dsn, proxy (which, and who says so), name (the look-up), tcp, proxy-tls, tunnel (what the
proxy says), tls (version, protocol, certificates), request, reply, clock. The first that fails ends
it, and the rest is told to be not checked.

What is sent is a client report without losses: a server checks the key, counts nothing and shows
nothing. Some servers answer before they have looked at the key; what `envoi send` delivers is then
the better proof.

With --json
  {\"verdict\",\"steps\":[{\"step\",\"verdict\",\"message\",\"took_ms\",\"advice\"}]} and more:
    tls, proxy-tls  \"version\",\"alpn\",
                    \"certificates\":[{\"subject\",\"issuer\",\"names\",\"not_before\",\"not_after\"}]
    reply           \"status\",\"limits\":[{\"category\",\"seconds\"}]
    clock           \"ahead_seconds\"
where `verdict` is ok, warning or failed, and for a step also `not checked`.

Exit codes: 0 the way is open, 1 it is not, 2 the command line makes no sense.";

/// What there is to check beyond a DSN, or a proxy, that nobody can read.
const REST: [Part; 6] = [Part::Proxy, Part::Name, Part::Tcp, Part::Request, Part::Reply, Part::Clock];

pub(crate) async fn run(args: &Args, output: &mut Output) -> Result<Exit, CliError> {
    transport::trace(args.verbose);
    let text = args.target.text()?;
    // A file that is none is a wrong command line, whatever else is wrong.
    let way = args.way.certificates()?;
    let mut sheet = Sheet::new(output, args.json);
    let dsn = match Dsn::parse(text) {
        Ok(dsn) => dsn,
        Err(error) => {
            let way_out = "copy it anew from the settings of the project (Client Keys)".to_owned();
            sheet.add(Step::new(Part::Dsn, Verdict::Failed, error.to_string()).advice(Some(way_out)));
            return Ok(sheet.finish(&REST));
        }
    };
    let target = dsn.envelope_url();
    let choice = match args.way.choice(target)? {
        Ok(choice) => choice,
        Err(error) => {
            sheet.add(of_dsn(&dsn));
            let place = error.variable().unwrap_or_default();
            let way_out = format!("mend or unset {place}, or say --proxy, or --no-proxy '*' to go without");
            sheet.add(Step::new(Part::Proxy, Verdict::Failed, error.to_string()).advice(Some(way_out)));
            return Ok(sheet.finish(&REST));
        }
    };
    sheet.add(of_dsn(&dsn));
    sheet.add(of_choice(&choice, target));
    let scene = Scene::new(target, &choice);
    let way = way.proxy(choice.config);
    if let Err(error) = exam::examine(&dsn, way, &scene, args.timeout, &mut sheet).await {
        sheet.add(Step::new(Part::Tls, Verdict::Failed, chain(&error)));
    }
    Ok(sheet.finish(&scene.plan()))
}

/// The step about the DSN itself.
fn of_dsn(dsn: &Dsn) -> Step {
    let words = format!("envelopes go to {}, project {}", dsn.envelope_url(), dsn.project_id());
    if dsn.scheme() == Scheme::Http && !is_here(dsn.host()) {
        let way_out = "write https if the server has it".to_owned();
        return Step::new(Part::Dsn, Verdict::Warning, words)
            .note("plain http: whoever is on the way can read the key and all that is sent")
            .advice(Some(way_out));
    }
    Step::new(Part::Dsn, Verdict::Ok, words)
}

/// Whether a host is this machine.
fn is_here(host: &str) -> bool {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match plain.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => plain == "localhost" || plain.ends_with(".localhost"),
    }
}

/// The step about which proxy is used.
fn of_choice(choice: &Choice, target: &Uri) -> Step {
    let unreadable = choice.config.unreadable_no_proxy();
    let verdict = if unreadable.is_empty() { Verdict::Ok } else { Verdict::Warning };
    let step = Step::new(Part::Proxy, verdict, choice.words(target));
    if unreadable.is_empty() {
        return step;
    }
    step.note(format!("entries of no_proxy that cannot be read: {}", unreadable.join(", "))).advice(Some(
        "write names, .domains, addresses, networks or host:port, with commas between them".to_owned(),
    ))
}
