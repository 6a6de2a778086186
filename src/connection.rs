//! Connection: a server and a credential; sends requests, signs them, re-exchanges once on 401.
