//! A browser without a window and without script: keeps cookies, follows no redirect, sends forms as a page has them.

use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use super::{PASSWORD, Server, client, header};

/// Somebody who looks at a server's pages.
pub struct Visitor<'s> {
    pub server: &'s Server,
    pub client: Client,
    pub cookies: Vec<(String, String)>,
    /// `Set-Cookie` of the last answer that had one.
    pub lines: Vec<String>,
}

/// What a page's form carries unseen.
#[derive(Clone)]
pub struct Seal {
    pub csrf: String,
    pub form: String,
}

impl<'s> Visitor<'s> {
    pub fn new(server: &'s Server) -> Self {
        client();
        Self::with(server, Client::builder().no_proxy().redirect(Policy::none()).build().unwrap())
    }

    /// Trusts this certificate (PEM) and no other.
    pub fn trusting(server: &'s Server, certificate: &str) -> Self {
        client();
        let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        let builder = Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only([certificate]);
        Self::with(server, builder.build().unwrap())
    }

    fn with(server: &'s Server, client: Client) -> Self {
        Self { server, client, cookies: Vec::new(), lines: Vec::new() }
    }

    pub async fn signed_in(server: &'s Server, name: &str) -> Self {
        let mut visitor = Self::new(server);
        visitor.sign_in(name).await;
        visitor
    }

    pub async fn sign_in(&mut self, name: &str) {
        let page = self.get("/sign-in").await.text().await.unwrap();
        let csrf = value_of(&page, "csrf");
        let fields = [("csrf", csrf.as_str()), ("name", name), ("password", PASSWORD)];
        let answer = self.post("/sign-in", &fields, &[]).await;
        assert_eq!((answer.status().as_u16(), header(answer.headers(), "location")), (303, "/packages"));
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn keep(&mut self, answer: &Response) {
        let lines = answer.headers().get_all("set-cookie").iter();
        let lines: Vec<String> = lines.map(|line| line.to_str().unwrap().to_owned()).collect();
        for line in &lines {
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(other, _)| other != name);
            if !line.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        if !lines.is_empty() {
            self.lines = lines;
        }
    }

    pub fn cookies(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    pub async fn get(&mut self, path: &str) -> Response {
        let request = self.client.get(format!("{}{path}", self.server.url)).header("cookie", self.cookies());
        let answer = request.header("accept", "text/html").send().await.unwrap();
        self.keep(&answer);
        answer
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.client.post(format!("{}{path}", self.server.url)).header("cookie", self.cookies());
        request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        self.keep(&answer);
        answer
    }

    pub async fn seal(&mut self, path: &str) -> Seal {
        let page = self.get(path).await.text().await.unwrap();
        let main = page.split("<main").nth(1).unwrap();
        Seal { csrf: value_of(main, "csrf"), form: value_of(main, "form") }
    }

    /// Opens a page, types into the form there that goes to `action`, and sends it, as a browser without script does:
    /// with everything else that the form holds.
    pub async fn fill(&mut self, path: &str, action: &str, typed: &[(&str, &str)]) -> Response {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        let mut fields = form_of(&answer.text().await.unwrap(), action);
        for (name, value) in typed {
            fields.retain(|(other, _)| other != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(action, &fields, &[]).await
    }
}

/// The value of a page's first input of this name.
pub fn value_of(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// The value of a token on the page that shows it.
pub fn shown_value(page: &str) -> String {
    let value = page.split("</textarea>").next().unwrap().rsplit('>').next().unwrap();
    assert_eq!(value.len(), 88, "{page}");
    value.to_owned()
}

/// What a page's form to `action` sends of itself: inputs that are not left out (HTML Living Standard, form submission).
pub fn form_of(page: &str, action: &str) -> Vec<(String, String)> {
    let escaped = action.replace('&', "&amp;");
    let start = format!("<form method=\"post\" action=\"{escaped}\"");
    let form = page.split(&start).nth(1).unwrap_or_else(|| panic!("no form to {action}: {page}"));
    let form = form.split("</form>").next().unwrap();
    let mut fields = Vec::new();
    for tag in form.split('<').skip(1) {
        let (inside, after) = tag.split_once('>').unwrap();
        let attribute = |name: &str| {
            let rest = inside.split(&format!(" {name}=\"")).nth(1)?;
            Some(unescaped(rest.split('"').next().unwrap()))
        };
        let Some(name) = attribute("name") else { continue };
        let kind = attribute("type").unwrap_or_default();
        if inside.starts_with("textarea") {
            fields.push((name, unescaped(after)));
        } else if inside.starts_with("input")
            && (!matches!(kind.as_str(), "checkbox" | "radio") || inside.contains(" checked"))
        {
            fields.push((name, attribute("value").unwrap_or_else(|| "on".into())));
        }
    }
    fields
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}
