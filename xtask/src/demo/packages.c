/* The demo where there is no PowerShell: the same flow, by the same library, from C. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uss.h"

#define ESCAPE "\x1b"

static int plain;

/* Fields are `name NUL value NUL ...`. */
struct fields {
    uint8_t bytes[4096];
    uint32_t length;
};

static void add(struct fields *fields, const char *name, const char *value)
{
    const char *texts[] = { name, value };
    for (int i = 0; i < 2; i++) {
        size_t length = strlen(texts[i]) + 1;
        if (fields->length + length > sizeof fields->bytes) {
            fputs("too long\n", stderr);
            exit(1);
        }
        memcpy(fields->bytes + fields->length, texts[i], length);
        fields->length += (uint32_t)length;
    }
}

static void add_id(struct fields *fields, const char *name, uint64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, id);
    add(fields, name, text);
}

/* Takes a buffer as text. The caller frees it. */
static char *take(struct uss_out out)
{
    char *text = calloc(1, (size_t)out.length + 1);
    if (text == NULL || uss_buffer_take(out.id, (uint8_t *)text, (uint32_t)out.length) != USS_OK) {
        fputs("a buffer could not be taken\n", stderr);
        exit(1);
    }
    return text;
}

/* Shows an error: seven texts joined by U+001F. Code first, then message, hint. */
static void print_error(struct uss_out out, const char *verb)
{
    char *text = take(out), *parts[7] = { text, "", "", "", "", "", "" };
    int part = 0;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '\x1f' && part < 6) {
            *at = '\0';
            parts[++part] = at + 1;
        }
    }
    printf("  %s: %s\n    %s\n    %s\n", verb, parts[0], parts[2], parts[3]);
    free(text);
}

/* The value of the first property `name` in `[row, end)` as it stands in JSON, and its length; 0 when absent or null. */
static int property(const char *row, const char *end, const char *name, const char **value)
{
    char key[40];
    int length = snprintf(key, sizeof key, "\"%s\":", name);
    for (const char *at = row; at + length < end; at++) {
        if (strncmp(at, key, (size_t)length) == 0) {
            *value = at + length;
            if (**value != '"') return strncmp(*value, "null", 4) == 0 ? 0 : (int)strcspn(*value, ",}");
            int found = 0;
            ++*value;
            while ((*value)[found] != '"') found += (*value)[found] == '\\' ? 2 : 1;
            return found;
        }
    }
    *value = "";
    return 0;
}

static void print_property(const char *row, const char *end, const char *name, int width)
{
    const char *value;
    int found = property(row, end, name, &value);
    printf("%-*.*s", width, width > 0 && found > width - 2 ? width - 2 : found, value);
}

/* What the last run's rows said of digests, in their order. */
static char digests[2048];

/* Shows a JSON array's objects, one a line. */
static void print_rows(const char *page)
{
    const char *row = NULL, *digest;
    int depth = 0, in_text = 0;
    for (const char *at = page; *at != '\0'; at++) {
        if (in_text) {
            if (*at == '\\' && at[1] != '\0') at++;
            else if (*at == '"') in_text = 0;
        } else if (*at == '"') in_text = 1;
        else if (*at == '{') {
            if (depth++ == 0) row = at;
        } else if (*at == '}' && --depth == 0 && strncmp(row, "{\"Error\":", 9) == 0) {
            printf("  refused: ");
            print_property(row, at, "Code", 0);
            printf("\n    ");
            print_property(row, at, "Message", 0);
            printf("\n    ");
            print_property(row, at, "Hint", 0);
            printf("\n");
        } else if (*at == '}' && depth == 0 && property(row, at, "Id", &digest) > 0) {
            int length = property(row, at, "Sha256", &digest);
            if (strlen(digests) + (size_t)length < sizeof digests) strncat(digests, digest, (size_t)length);
            printf("    ");
            print_property(row, at + 1, "Id", 24);
            print_property(row, at + 1, "Version", 16);
            print_property(row, at + 1, "Status", 12);
            print_property(row, at + 1, "Size", 12);
            print_property(row, at + 1, "Sha256", 26);
            printf("\n");
        }
    }
}

static void print_progress(const uint64_t *progress, uint64_t *shown)
{
    if (progress[4] == 0) return;
    uint64_t percent = progress[3] * 100 / progress[4];
    if (plain && percent < *shown) return;
    printf(plain ? "    %3" PRIu64 " %%  %" PRIu64 " of %" PRIu64 " packages\n"
                 : "\r" ESCAPE "[K    %3" PRIu64 " %%  %" PRIu64 " of %" PRIu64 " packages", percent, progress[1], progress[2]);
    if (!plain) fflush(stdout);
    *shown = percent - percent % 20 + 20;
}

/* Runs a command to its end and shows its rows. Gives the operation in `kept` if the caller wants to free it. */
static int run(struct fields *fields, uint64_t *kept)
{
    struct uss_out out = { 0, 0 };
    uint64_t progress[USS_PROGRESS_LENGTH], shown = 0;
    int status, failed = 0;
    digests[0] = '\0';
    add(fields, "format", "json");
    if (uss_op_start(fields->bytes, fields->length, &out) != USS_OK) {
        print_error(out, "refused");
        return 1;
    }
    uint64_t operation = out.id;
    do {
        while ((status = uss_op_wait(operation, 200, progress, USS_PROGRESS_LENGTH, &out)) == USS_PENDING)
            print_progress(progress, &shown);
        if (!plain && shown != 0) printf("\r" ESCAPE "[K");
        if (status == USS_READY) status = uss_op_take_result(operation, &out);
        if (status == USS_FAILED) {
            print_error(out, "refused");
            failed = 1;
        } else {
            char *page = take(out);
            print_rows(page);
            failed |= strstr(page, "\"Error\":") != NULL;
            free(page);
        }
    } while (status == USS_PENDING);
    if (kept != NULL && !failed) *kept = operation;
    else uss_op_free(operation);
    return failed;
}

static void chapter(int number, const char *text)
{
    fflush(stdout);
    printf(plain ? "\n== %d. %s\n\n" : "\n  " ESCAPE "[1;36m%d  %s" ESCAPE "[0m\n\n", number, text);
    fflush(stdout);
}

static uint64_t connection(const char *server, const char *user, const char *token)
{
    struct fields fields = { { 0 }, 0 };
    struct uss_out out = { 0, 0 };
    uint16_t secret[512];
    size_t length = strlen(token);
    if (length > sizeof secret / sizeof *secret) return 0;
    for (size_t i = 0; i < length; i++) secret[i] = (uint8_t)token[i];
    add(&fields, "server", server);
    add(&fields, "user", user);
    int status = uss_connection_open(fields.bytes, fields.length, secret, (uint32_t)length, &out);
    memset(secret, 0, sizeof secret);
    if (status != USS_OK) {
        print_error(out, "refused");
        exit(1);
    }
    fields.length = 0;
    add(&fields, "command", "connect");
    add_id(&fields, "connection", out.id);
    uint64_t opened = out.id;
    if (run(&fields, NULL) != 0) exit(1);
    printf("  %s as %s\n", server, user);
    return opened;
}

static int versions(uint64_t of, size_t count)
{
    struct fields fields = { { 0 }, 0 };
    add(&fields, "command", "versions");
    add_id(&fields, "connection", of);
    const char *ids[] = { "bundle/my-pos", "pos-app", "pos-hardware-station", "pos-database", "payment-service" };
    for (size_t i = 0; i < count; i++) {
        add(&fields, "packageId", ids[i]);
        add(&fields, "versionQuery", "");
    }
    return run(&fields, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 4 || getenv("DEMO_HEADQUARTERS_TOKEN") == NULL || getenv("DEMO_STORE_TOKEN") == NULL) {
        fputs("usage: demo HEADQUARTERS STORE REVOKE [ARGUMENT...]\n", stderr);
        return 2;
    }
    plain = getenv("NO_COLOR") != NULL;
    if (uss_abi_version() != USS_ABI_VERSION) {
        fputs("the library has another interface than this program\n", stderr);
        return 1;
    }
    chapter(1, "Sign in to both servers with personal access tokens");
    uint64_t headquarters = connection(argv[1], "ada", getenv("DEMO_HEADQUARTERS_TOKEN"));
    uint64_t store = connection(argv[2], "grace", getenv("DEMO_STORE_TOKEN"));

    chapter(2, "The plan: what would be copied");
    struct fields fields = { { 0 }, 0 };
    uint64_t plan = 0;
    add(&fields, "command", "plan-copy");
    add_id(&fields, "source", headquarters);
    add_id(&fields, "destination", store);
    add(&fields, "packageId", "bundle/my-pos");
    add(&fields, "versionQuery", "");
    if (run(&fields, &plan) != 0) return 1;

    chapter(3, "Copy it (held to 80 MB/s, so that there is something to see)");
    fields.length = 0;
    add(&fields, "command", "copy");
    add_id(&fields, "plan", plan);
    add(&fields, "maxBytesPerSecond", "80000000");
    if (run(&fields, NULL) != 0) return 1;
    uss_op_free(plan);

    chapter(4, "The proof: both sides hold the same bytes");
    puts("  headquarters");
    if (versions(headquarters, 5) != 0) return 1;
    char *originals = strdup(digests);
    puts("  store");
    if (versions(store, 5) != 0) return 1;
    if (originals == NULL || strlen(originals) != 5 * 64 || strcmp(originals, digests) != 0) {
        fputs("the digests differ\n", stderr);
        return 1;
    }
    free(originals);

    chapter(5, "The administrator at headquarters revokes the token");
    pid_t child = fork();
    if (child == 0) {
        execv(argv[3], argv + 3);
        _exit(127);
    }
    int revoked = -1;
    if (child < 0 || waitpid(child, &revoked, 0) != child || revoked != 0) {
        fputs("the token could not be revoked\n", stderr);
        return 1;
    }
    if (versions(headquarters, 1) == 0) {
        fputs("a revoked token was accepted\n", stderr);
        return 1;
    }
    uss_connection_close(headquarters);
    uss_connection_close(store);
    return 0;
}
