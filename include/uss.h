/*
 * The C ABI of uss. What holds for every function:
 *
 * Status. 0 (`USS_OK`, `USS_READY`): done. 1 (`USS_PENDING`): not yet, or more follows. -1 (`USS_FAILED`): failed;
 * a function with an `out` then puts the error's buffer there. `out` may be NULL when nobody wants to know.
 *
 * Ids, not pointers. Connections, operations, buffers and secrets are named by 64-bit ids that are never reused.
 * A foreign, stale, wrong-kind or twice-freed id is the error `InvalidHandle`, never a crash. What an id names is
 * yours until you free it. An operation that nobody waits for is cancelled and freed after its lease (900 seconds,
 * or the command's field `lease`); buffers and secrets that nobody takes are freed after 900 seconds. Connections
 * stay until they are closed.
 *
 * Text is UTF-8 without a terminating NUL; its length stands beside it. Pointers that a function is given are
 * only used until it returns, and may be NULL where their length is 0.
 *
 * Fields are `name NUL value NUL name NUL value NUL` and so on; a list repeats its name. Booleans are `true` and
 * `false`. An empty value of an optional field is as if the field were not there. An unknown, missing or ill-typed
 * field is the error `InvalidArgument` that names it.
 *
 * Errors are seven texts joined by U+001F: code (of a platform's refusal: `Vap.` and its result), category (a name
 * of PowerShell's ErrorCategory), message, hint, HTTP status (empty if there was no answer), target, server. Texts may
 * be empty.
 *
 * Threads. Every function may be called from any thread at any time. None calls back. None lets a panic out: a
 * defect of the library is the error `Internal`.
 *
 * Life. The library starts its threads at the first operation and stays loaded until the process ends; the
 * process's exit never waits for it.
 *
 * Made by cargo xtask header from src/ffi. Don't edit.
 */

#ifndef USS_H
#define USS_H

#include <stdint.h>

/**
 * The version of this interface. A caller that was made for another version must not go on.
 */
#define USS_ABI_VERSION 1

/**
 * Done.
 */
#define USS_OK 0

/**
 * The operation has a page of rows, or has ended.
 */
#define USS_READY 0

/**
 * The operation still runs; or, of a page: more follow.
 */
#define USS_PENDING 1

/**
 * Failed; `out` names the error's buffer.
 */
#define USS_FAILED -1

/**
 * Values that uss_op_wait tells of the progress: phase (0 starting, 1 planning, 2 transferring, 3 verifying), items
 * done, items in all, bytes done, bytes in all, bytes per second, then eight running transfers of three values each:
 * id, bytes done, bytes in all. What is not known is 0. It may grow at the end.
 */
#define USS_PROGRESS_LENGTH 30

/**
 * What a function gives back: on success what was asked for, on failure the error's buffer.
 */
typedef struct uss_out {
  /**
   * The id of a connection, operation or buffer; 0 for nothing.
   */
  uint64_t id;
  /**
   * Bytes of the buffer that `id` names; 0 for other ids.
   */
  uint64_t length;
} uss_out;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of this interface: USS_ABI_VERSION of the header that the library was made with.
 *
 * Call it first. A caller that was made for another version must not go on.
 */
uint32_t uss_abi_version(void);

/**
 * Fills `counts`, which has room for `len` values, with the numbers of live connections, operations, buffers and
 * secrets, and of running tasks, as far as it goes. It may grow at the end.
 *
 * For tests that look for leaks. Returns USS_OK, or USS_FAILED for NULL.
 *
 * The caller promises:
 * `counts` is NULL or writable for `len` values.
 */
int32_t uss_debug_counts(uint64_t *counts,
                         uint32_t len);

/**
 * Makes a connection; `out->id` is its id, for the commands. Nothing goes over the network yet.
 *
 * `fields` are described below. `secret` is the personal access token as UTF-16 code units, copied at once; wiping
 * the caller's copy is the caller's duty. A connection without a user and a secret is not authenticated, unless the
 * keyring has something for it.
 *
 * The connection is the caller's until uss_connection_close.
 *
 * Returns USS_OK, or USS_FAILED: a field is not right; a user without a secret or a secret without a user; plain http
 * to another machine (`InsecureTransport`); a file that a field names cannot be used.
 *
 * The caller promises:
 * `fields` is NULL or readable for `len` bytes, `secret` for `secret_len` units; `out` is NULL or writable.
 */
int32_t uss_connection_open(const uint8_t *fields,
                            uint32_t len,
                            const uint16_t *secret,
                            uint32_t secret_len,
                            struct uss_out *out);

/**
 * Closes a connection. Operations that use it go on.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no connection.
 */
int32_t uss_connection_close(uint64_t connection);

/**
 * Starts a command; `out->id` is the operation. The commands, their fields and rows are described below.
 *
 * The operation is the caller's until uss_op_free.
 *
 * Returns USS_OK, or USS_FAILED: the command or a field is not right, or a connection that it names is not one.
 *
 * The caller promises:
 * `command` is NULL or readable for `len` bytes; `out` is NULL or writable.
 */
int32_t uss_op_start(const uint8_t *command,
                     uint32_t len,
                     struct uss_out *out);

/**
 * Waits at most `timeout_ms` milliseconds until the operation has a page of rows or has ended, well or not, and fills
 * `progress`, which has room for `progress_len` values (see USS_PROGRESS_LENGTH), as far as it goes.
 *
 * Waiting renews the operation's lease.
 *
 * Returns USS_READY (now uss_op_take_result), USS_PENDING, or USS_FAILED for an id that is no operation.
 *
 * The caller promises:
 * `progress` is NULL or writable for `progress_len` values; `out` is NULL or writable.
 */
int32_t uss_op_wait(uint64_t op,
                    uint32_t timeout_ms,
                    uint64_t *progress,
                    uint32_t progress_len,
                    struct uss_out *out);

/**
 * Asks an operation to stop. It ends soon after with the error `Cancelled`, unless it had ended already.
 *
 * May be called again and again. Returns USS_OK, or USS_FAILED for an id that is no operation.
 */
int32_t uss_op_cancel(uint64_t op);

/**
 * Takes the next page: `out` names a buffer that holds at most 500 rows in the command's `format`.
 *
 * CLIXML is one `Objs` element with an element a row; JSON is an array with an element a row. A row that is the error
 * of one item is an object of type `Uss.Error` in CLIXML, and `{"Error": {...}}` in JSON, with the properties Code,
 * Category, Message, Hint, HttpStatus (a number or null), Target and Server.
 *
 * Returns USS_PENDING for a page after which more follow (wait again), USS_OK for the last one, USS_FAILED: the
 * operation as a whole failed (its rows, if any, were given before), it is not ready, or its last page was taken.
 *
 * The caller promises:
 * `out` is NULL or writable.
 */
int32_t uss_op_take_result(uint64_t op,
                           struct uss_out *out);

/**
 * Frees an operation, and cancels it if it still runs. Buffers that were taken from it stay.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no operation.
 */
int32_t uss_op_free(uint64_t op);

/**
 * Takes the log lines since the last call: `out` names a buffer, or is {0, 0} when there are none.
 *
 * Records are separated by U+001E, each is `level U+001F text`: V verbose, D debug, W warning, and N
 * `transfer-id U+001F label`, which names a transfer before its id appears in the progress. The command's field `log`
 * says which of V and D are kept; W and N always are.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no operation.
 *
 * The caller promises:
 * `out` is NULL or writable.
 */
int32_t uss_log_drain(uint64_t op,
                      struct uss_out *out);

/**
 * Copies a buffer's bytes to `dst`, which has room for `cap` bytes, and frees the buffer.
 *
 * The `uss_out` that named the buffer told its length. If `cap` is smaller, nothing is copied and the buffer stays.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no buffer, too little room, or a NULL `dst`.
 *
 * The caller promises:
 * `dst` is NULL or writable for `cap` bytes.
 */
int32_t uss_buffer_take(uint64_t buffer,
                        uint8_t *dst,
                        uint32_t cap);

/**
 * Shows a buffer's bytes where they are: `*data` and `*len`. They stay there, unchanged, until the buffer is freed.
 *
 * A buffer that was viewed has no lease: it waits for uss_buffer_free.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no buffer or a NULL argument.
 *
 * The caller promises:
 * `data` and `len` are NULL or writable.
 */
int32_t uss_buffer_view(uint64_t buffer,
                        const uint8_t **data,
                        uint64_t *len);

/**
 * Frees a buffer without reading it.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no buffer.
 */
int32_t uss_buffer_free(uint64_t buffer);

/**
 * Copies a secret's UTF-16 code units to `dst`, which has room for `cap` units, wipes the library's copy and frees it.
 *
 * The row that named the secret told its length. If `cap` is smaller, nothing is copied and the secret stays. Wiping
 * `dst` is the caller's duty.
 *
 * Returns USS_OK, or USS_FAILED for an id that is no secret, too little room, or a NULL `dst`.
 *
 * The caller promises:
 * `dst` is NULL or writable for `cap` units.
 */
int32_t uss_secret_take(uint64_t secret,
                        uint16_t *dst,
                        uint32_t cap);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* USS_H */

/*
 * Fields of connections and commands.
 *
 *   Fields of uss_connection_open:
 *     server (text): The server's address; https if it has no scheme. Plain http is for this machine alone:
 *       localhost, 127.0.0.0/8, ::1.
 *     user (optional text): Who signs in; the secret stands beside the fields.
 *     tokenVariable (optional text): An environment variable that holds the secret, read here instead of given
 *       beside the fields.
 *     keyring (boolean, false if not given): Without a user: signs in with what the operating system's keyring
 *       keeps for the server's scheme, host and port. It is asked before the first request, for at most 3 s;
 *       without it the requests go unauthenticated.
 *     platform (boolean, false if not given): The server is a Virtuozzo Application Platform, for the platform's
 *       commands; the secret is an access token, and the user name is for display. With `person` they are login
 *       and password.
 *     person (boolean, false if not given): The secret is the user's password, not a token: for the commands of
 *       tokens.
 *     timeout (optional seconds): To connect, and between two bytes; never of a whole transfer. 30 if not given.
 *     proxy (optional text): The proxy's address. If not given: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, else the
 *       system's. This machine is never reached through one.
 *     proxyCredential (optional id of a connection): A connection whose user and secret sign in at the proxy;
 *       its server is not used.
 *     noProxy (boolean, false if not given): No proxy at all.
 *     certificateAuthority (optional path): A PEM file with roots that are trusted beside the system's.
 *     skipCertificateCheck (boolean, false if not given): Trusts any certificate.
 *     allowUnencryptedAuthentication (boolean, false if not given): Lets a secret travel over plain http to
 *       another machine.
 *     routeFile (optional path): A JSON file that overrides routes of the web API.
 *
 *   Every command also has:
 *     log (name): Which log lines are kept: `none`, `verbose` or `debug`; none if not given.
 *     format (name): How rows are written: `clixml` or `json`; clixml if not given.
 *     lease (seconds): How long the operation is kept when nobody waits for it or takes from it; 900 if not
 *       given.
 *
 * connect
 *   Signs in, and asks who that is. Warns in the log when the personal token ends within 14 days.
 *     connection (id of a connection): Where, and as whom.
 *     remember (boolean, false if not given): Keeps the token in the operating system's keyring, for the
 *       server's scheme, host and port.
 *   Rows: one Uss.Connection.
 *
 * forget
 *   Removes what the operating system's keyring keeps for a server's scheme, host and port. Reaches no server.
 *     server (text): The server's address.
 *   Rows: a boolean: whether there was something.
 *
 * packages
 *   The packages of a server, as their newest versions describe them.
 *     connection (id of a connection): Whose.
 *     id (list of texts): Only these, in this order; `*` is any text, `?` any character. An id without them must
 *       exist.
 *     search (optional text): Only what the server finds for this text.
 *   Rows: Uss.Package; an error item for an id that the server does not have.
 *
 * versions
 *   The versions of packages that queries select.
 *     connection (id of a connection): Whose.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): Which version of each, in the same order; empty is the newest. If not given:
 *       the newest of all.
 *     all (boolean, false if not given): Every version that a query admits, newest first, instead of the one
 *       that it selects.
 *     includeDependencies (boolean, false if not given): Also what the versions need, in the order in which a
 *       copy would send them.
 *   Rows: Uss.PackageVersion; an error item for a package that fails, in its place.
 *
 * resolve
 *   What packages need, themselves included, resolved against a server.
 *     connection (id of a connection): The server.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): Which version of each, in the same order; empty is the newest. If not given:
 *       the newest of all.
 *     includeOptional (boolean, false if not given): Dependencies that are not needed to work, too.
 *   Rows: Uss.PackageVersion, dependencies before what needs them. With problems: each as an error item, then
 *     the operation fails.
 *
 * plan-copy
 *   Plans a copy of packages and what they need. The operation holds the plan for the command copy.
 *     source (id of a connection): Where they come from.
 *     destination (list of ids of connections): Where they go; each gets all of them.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): Which version of each, in the same order; empty is the newest. If not given:
 *       the newest of all.
 *     force (boolean, false if not given): Replaces other bytes under the same id and version.
 *     skipDependencyCheck (boolean, false if not given): Only what is named, not what it needs.
 *     includeOptional (boolean, false if not given): Dependencies that are not needed to work, too.
 *     summaryOnly (boolean, false if not given): Only the Uss.CopyPlan of each destination.
 *   Rows: a Uss.CopyPlan for each destination, then, unless summaryOnly, Uss.CopyResult with the status
 *     WouldCopy, WouldSkip or WouldReplace. With problems: each as an error item, then the operation fails.
 *
 * plan-copy-installer
 *   Plans a copy of installers. The operation holds the plan for the command copy.
 *     source (id of a connection): Where they come from.
 *     destination (list of ids of connections): Where they go; each gets all of them.
 *     installerId (list of texts): GUIDs of installers. Give these or names.
 *     name (list of texts): Names of installers; `*` is any text, `?` any character. A name without them must
 *       exist.
 *     force (boolean, false if not given): Replaces other bytes of the same installer.
 *     summaryOnly (boolean, false if not given): Only the Uss.CopyPlan of each destination.
 *   Rows: a Uss.CopyPlan for each destination, then, unless summaryOnly, Uss.CopyResult with the status
 *     WouldCopy, WouldSkip or WouldReplace. With problems: each as an error item, then the operation fails.
 *
 * plan-save
 *   Plans to save packages and what they need in a folder. The operation holds the plan for the command copy.
 *     source (id of a connection): Where they come from.
 *     outputDir (path): The folder, which exists. Each package becomes ID-VERSION.zip, with _ for each slash of
 *       the id.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): Which version of each, in the same order; empty is the newest. If not given:
 *       the newest of all.
 *     force (boolean, false if not given): Replaces files with other bytes.
 *     skipDependencyCheck (boolean, false if not given): Only what is named, not what it needs.
 *     includeOptional (boolean, false if not given): Dependencies that are not needed to work, too.
 *     summaryOnly (boolean, false if not given): Only the Uss.CopyPlan of each destination.
 *   Rows: a Uss.CopyPlan for each destination, then, unless summaryOnly, Uss.CopyResult with the status
 *     WouldCopy, WouldSkip or WouldReplace. With problems: each as an error item, then the operation fails.
 *
 * plan-import
 *   Plans to publish package files. What a file needs is among them, or at each destination already. The
 *     operation holds the plan for the command copy.
 *     inputPath (list of paths): The files.
 *     destination (list of ids of connections): Where they go; each gets all of them.
 *     force (boolean, false if not given): Replaces other bytes under the same id and version.
 *     skipDependencyCheck (boolean, false if not given): Publishes the files in their order, whatever they need.
 *     summaryOnly (boolean, false if not given): Only the Uss.CopyPlan of each destination.
 *   Rows: a Uss.CopyPlan for each destination, then, unless summaryOnly, Uss.CopyResult with the status
 *     WouldCopy, WouldSkip or WouldReplace. With problems: each as an error item, then the operation fails.
 *
 * copy
 *   Copies what a plan shows. A plan is copied once.
 *     plan (id of an operation): The ended operation of plan-copy, plan-copy-installer, plan-save or
 *       plan-import, not yet freed.
 *     throttleLimit (optional whole number): Transfers at once; 4 if not given.
 *     maxBytesPerSecond (optional whole number): Bytes per second, all transfers together; as fast as it goes if
 *       not given.
 *     cleanUp (boolean, false if not given): Leaves nothing to go on with of what is cancelled or fails; else it
 *       stays at the destination for a while.
 *   Rows: Uss.CopyResult as each package ends, with the status Copied, Skipped or Replaced; an error item for
 *     each that fails, and for each that needs one that failed. Of a plan of plan-save: Uss.PackageFile instead.
 *
 * installers
 *   The installers of a server.
 *     connection (id of a connection): Whose.
 *     installerId (list of texts): Only those with these GUIDs.
 *     name (list of texts): Only those with these names; `*` is any text, `?` any character. A name without them
 *       must exist. Not used beside GUIDs.
 *   Rows: Uss.Installer; an error item for one that the server does not have.
 *
 * remove
 *   Removes versions of packages.
 *     connection (id of a connection): From where.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): An exact version of each, in the same order. Give these or all.
 *     all (boolean, false if not given): Every version of each, pre-releases too.
 *   Rows: none; an error item for each that was not removed.
 *
 * test
 *   Whether a server has a version of each package that its query selects.
 *     connection (id of a connection): The server.
 *     packageId (list of texts, one at least): The packages.
 *     versionQuery (list of texts): Which version of each, in the same order; empty is any release.
 *   Rows: a boolean for each package; an error item in its place where that cannot be told.
 *
 * new-package
 *   Makes a package archive: a manifest and files. A package without files is a bundle of its dependencies.
 *     id (text): The manifest's Id: lower-case letters, digits, hyphens and slashes.
 *     name (optional text): The manifest's Name.
 *     displayName (optional text): The manifest's DisplayName.
 *     description (optional text): The manifest's Description.
 *     version (text): The manifest's Version.
 *     outputDir (path): The folder that the archive is written to, as ID-VERSION.zip, with _ for each slash of
 *       the id.
 *     inputPath (list of paths): Files and folders that go into the archive.
 *     dependencyId (list of texts): The packages that it needs.
 *     dependencyVersionQuery (list of texts): Which version of each, in the same order; if not given, the
 *       newest.
 *     dependencyOptional (list of booleans): Whether each is not needed to work, in the same order; if not
 *       given, none.
 *     dependencyOnlyRestrictVersion (list of booleans): Whether each only restricts what something else brings
 *       in, in the same order; if not given, none.
 *     force (boolean, false if not given): Replaces an archive that is there.
 *   Rows: one Uss.PackageFile.
 *
 * tokens
 *   The signed-in person's tokens, without their values.
 *     connection (id of a connection): Where, and which person: a connection with `person`, as for all commands
 *       of tokens.
 *     id (list of texts): Only these. Each must exist.
 *     name (list of texts): Without ids: only those of these names; `*` is any text, `?` any character. A name
 *       without them must exist.
 *   Rows: Uss.PersonalToken; an error item for a token that the person does not have.
 *
 * new-token
 *   Makes a token.
 *     connection (id of a connection): Where, and which person.
 *     name (text): What the person calls it.
 *     description (optional text): What it is for.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When it ends. If not given: never, or after 12
 *       months for a client service.
 *     clientService (boolean, false if not given): It is for a client service, which only reads.
 *   Rows: Uss.ShownToken: Token, a Uss.PersonalToken; Secret and Length, the value's id for uss_secret_take and
 *     how many UTF-16 code units it has. The server shows a value this once.
 *
 * set-token
 *   Changes settings of tokens; their values stay.
 *     connection (id of a connection): Where, and which person.
 *     id (list of texts, one at least): The tokens.
 *     name (optional text): What the person calls them from now on.
 *     description (optional text): What they are for.
 *     noDescription (boolean, false if not given): Takes the description away.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When they end.
 *     neverExpires (boolean, false if not given): They never end.
 *   Rows: Uss.PersonalToken; an error item for a token that stays as it was.
 *
 * reset-token
 *   Gives tokens new values; the old ones are refused from now on.
 *     connection (id of a connection): Where, and which person.
 *     id (list of texts, one at least): The tokens.
 *   Rows: Uss.ShownToken: Token, a Uss.PersonalToken; Secret and Length, the value's id for uss_secret_take and
 *     how many UTF-16 code units it has. The server shows a value this once.
 *
 * copy-token
 *   Makes tokens with the settings of others, but for those that are given.
 *     connection (id of a connection): Where, and which person.
 *     id (list of texts, one at least): The tokens to copy.
 *     name (optional text): What the person calls the copies.
 *     description (optional text): What they are for.
 *     noDescription (boolean, false if not given): They have no description.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When they end.
 *     neverExpires (boolean, false if not given): They never end.
 *   Rows: Uss.ShownToken: Token, a Uss.PersonalToken; Secret and Length, the value's id for uss_secret_take and
 *     how many UTF-16 code units it has. The server shows a value this once.
 *
 * revoke-token
 *   Ends tokens, and every sign-in with them, at once.
 *     connection (id of a connection): Where, and which person.
 *     id (list of texts, one at least): The tokens.
 *   Rows: Uss.PersonalToken; an error item for a token that was not revoked.
 *
 * remove-token
 *   Removes tokens, and ends those that were active.
 *     connection (id of a connection): Where, and which person.
 *     id (list of texts, one at least): The tokens.
 *   Rows: none; an error item for each that was not removed.
 *
 * sign-out
 *   Ends the session that the person's password began, unless another connection still uses it. Closing the
 *     connection does so, too, and does not wait: a process that ends then may leave the session behind.
 *     connection (id of a connection): The connection of a person; the next command on it would sign in anew.
 *   Rows: none. What fails is a verbose line: a session ends by itself, too.
 *
 * invoke
 *   Makes any call on a server, signed like every other.
 *     connection (id of a connection): The server.
 *     path (text): The path with its query, percent-encoded.
 *     method (optional text): GET if not given.
 *     body (optional text): Text to send.
 *     bodyBase64 (optional text): Bytes to send, in Base64.
 *     contentType (optional text): application/json if not given.
 *     inFile (optional path): A file to send.
 *     outFile (optional path): A file that the answer is written to, once it is whole.
 *   Rows: the answer: JSON as objects without a type name, an array as a row for each element, instants as
 *     DateTime in UTC; other text as one string. None for an empty answer, or one that went to a file.
 *
 * platform-connect
 *   Signs in at a platform, and asks who that is.
 *     connection (id of a connection): Where, and as whom: a connection with `platform`, as for all of its
 *       commands.
 *   Rows: Vap.Connection; its account is empty for a token that may not ask for it.
 *
 * platform-disconnect
 *   Ends the session that a password began. A token stays good.
 *     connection (id of a connection): Which.
 *     quiet (boolean, false if not given): A failure is a verbose line: a session ends by itself, too, and the
 *       call before it has its own answer.
 *   Rows: none.
 *
 * platform-methods
 *   The platform's methods, as its API description has them. Nothing goes over the network.
 *     search (optional text): Only those whose path holds this.
 *   Rows: Vap.Method: Method, Parameters, Required (both names), Summary.
 *
 * platform-call
 *   Makes any call on a platform, its parameters checked by the platform's description.
 *     connection (id of a connection): The platform.
 *     method (text): The method: environment/control/stopenv.
 *     parameter (list of texts): Names of parameters.
 *     value (list of texts): Their values, as many.
 *     secretParameter (list of texts): Names of parameters with a secret.
 *     secret (list of ids of connections, none if not given): Connections that have these secrets, as many;
 *       their servers are not used.
 *     force (boolean, false if not given): Sends what the description does not know.
 *   Rows: Vap.Answer: Answer, the platform's JSON as objects without a type name; Secrets, a list of Vap.Secret:
 *     Path (names with dots between), and Secret and Length for uss_secret_take. What is there is taken out of
 *     the answer.
 *
 * platform-environments
 *   The account's environments.
 *     connection (id of a connection): The platform.
 *     name (list of texts): Only those of these names; `*` is any text, `?` any character. A name without them
 *       must exist.
 *   Rows: Vap.Environment; an error item for a name that there is none of.
 *
 * platform-change
 *   Starts environments, stops them or puts them to sleep, one after the other. A call without an answer is not
 *     sent again: what became of it is read from the state.
 *     connection (id of a connection): The platform.
 *     name (list of texts, one at least): The environments.
 *     action (text): start, stop or sleep.
 *     wait (boolean, false if not given): Waits until each state is reached, and not only until the platform
 *       answers.
 *     limit (optional seconds): How long that may take, for each; 900 if not given.
 *     show (boolean, false if not given): Gives each environment as it is then, which needs a token that may
 *       read it; waiting does so anyway.
 *   Rows: Vap.Environment as each is then, if asked for; an error item for one that failed.
 *
 * platform-restart
 *   Restarts nodes of environments.
 *     connection (id of a connection): The platform.
 *     name (list of texts, one at least): The environments.
 *     nodeId (optional whole number): One node of one environment; all nodes if not given.
 *     show (boolean, false if not given): Gives each environment as it is then, which needs a token that may
 *       read it.
 *   Rows: Vap.Environment as each is then, if asked for; an error item for one that failed.
 *
 * platform-tokens
 *   The account's access tokens, without their values.
 *     connection (id of a connection): Where, and which account: a connection with `platform` and `person`, as
 *       for all commands of tokens.
 *     id (list of texts): Only these. Each must exist.
 *   Rows: Vap.Token; an error item for a token that the account does not have.
 *
 * platform-new-token
 *   Makes a token, for a set of methods or for a list of them.
 *     connection (id of a connection): Where, and which account.
 *     description (text): What it is for.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When it ends; never if not given.
 *     scope (optional text): The set: Extended Access, IDE Plugins, and so on.
 *     method (list of texts): The methods.
 *     confirm (optional id of a connection): A connection whose secret is the account's password, which the
 *       change takes again; if not given, that of the connection itself.
 *   Rows: Vap.ShownToken: Token, a Vap.Token; Secret and Length, the value's id for uss_secret_take and how many
 *     UTF-16 code units it has. The platform shows a value this once.
 *
 * platform-set-token
 *   Changes settings of tokens; their values stay.
 *     connection (id of a connection): Where, and which account.
 *     id (list of texts, one at least): The tokens.
 *     description (optional text): What they are for.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When they end.
 *     neverExpires (boolean, false if not given): They never end.
 *     scope (optional text): The set.
 *     method (list of texts): The methods.
 *     confirm (optional id of a connection): A connection whose secret is the account's password; if not given,
 *       that of the connection itself.
 *   Rows: Vap.Token; an error item for a token that stays as it was.
 *
 * platform-copy-token
 *   Makes tokens with the settings of others, but for those that are given.
 *     connection (id of a connection): Where, and which account.
 *     id (list of texts, one at least): The tokens to copy.
 *     description (optional text): What the copies are for.
 *     expires (optional instant, like 2026-11-10T18:00:00Z): When they end.
 *     neverExpires (boolean, false if not given): They never end.
 *     scope (optional text): The set.
 *     method (list of texts): The methods.
 *     confirm (optional id of a connection): A connection whose secret is the account's password; if not given,
 *       that of the connection itself.
 *   Rows: Vap.ShownToken: Token, a Vap.Token; Secret and Length, the value's id for uss_secret_take and how many
 *     UTF-16 code units it has. The platform shows a value this once.
 *
 * platform-reset-token
 *   Gives tokens new values; the old ones are refused from now on.
 *     connection (id of a connection): Where, and which account.
 *     id (list of texts, one at least): The tokens.
 *     confirm (optional id of a connection): A connection whose secret is the account's password; if not given,
 *       that of the connection itself.
 *   Rows: Vap.ShownToken: Token, a Vap.Token; Secret and Length, the value's id for uss_secret_take and how many
 *     UTF-16 code units it has. The platform shows a value this once.
 *
 * platform-remove-token
 *   Removes tokens: all of them, or none.
 *     connection (id of a connection): Where, and which account.
 *     id (list of texts, one at least): The tokens.
 *     confirm (optional id of a connection): A connection whose secret is the account's password; if not given,
 *       that of the connection itself.
 *   Rows: none.
 *
 * platform-scopes
 *   What a token can be made for: sets of methods, and methods.
 *     connection (id of a connection): Where.
 *     name (list of texts): Only the sets and methods of these names; `*` is any text, `?` any character.
 *     search (optional text): Only those whose name holds this.
 *   Rows: Vap.TokenScope: Name, Kind (Set or Method), Summary, Methods (of a set).
 */
