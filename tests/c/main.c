/*
 * A C program over include/uss.h: connects to two servers, lists versions, copies a package with what it needs, and
 * then misuses the library in every way that a caller can. tests/c_abi.rs builds it, starts the servers, and runs it
 * bare and under valgrind. By hand:
 *
 *     cc -Iinclude tests/c/main.c -Ltarget/debug -luss -Wl,-rpath,target/debug -o /tmp/uss-c
 *     SOURCE_TOKEN=... DESTINATION_TOKEN=... /tmp/uss-c http://127.0.0.1:8060 user http://127.0.0.1:8061 user package
 *
 * It prints what it was given, and ends with 0 if everything was as it should be.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "uss.h"

#define CHECK(condition)                                                                   \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                                       \
        }                                                                                  \
    } while (0)

/* Fields: name NUL value NUL ... */
typedef struct {
    uint8_t text[4096];
    uint32_t length;
} fields;

static void add(fields *f, const char *name, const char *value) {
    size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
    CHECK(f->length + name_size + value_size <= sizeof f->text);
    memcpy(f->text + f->length, name, name_size);
    memcpy(f->text + f->length + name_size, value, value_size);
    f->length += (uint32_t)(name_size + value_size);
}

static void add_id(fields *f, const char *name, uint64_t id) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)id);
    add(f, name, text);
}

/* Prints a buffer where it lies, and frees it. */
static void show(const char *what, uss_out out) {
    const uint8_t *data;
    uint64_t length;
    CHECK(uss_buffer_view(out.id, &data, &length) == USS_OK);
    CHECK(length == out.length);
    printf("%s: %.*s\n", what, (int)length, (const char *)data);
    CHECK(uss_buffer_free(out.id) == USS_OK);
}

/* Whether a failed call's error has this code; frees the error. */
static int failed_with(int32_t status, uss_out out, const char *code) {
    char text[2048];
    size_t length = strlen(code);
    int same;
    CHECK(out.length < sizeof text);
    CHECK(status == USS_FAILED);
    CHECK(uss_buffer_take(out.id, (uint8_t *)text, sizeof text) == USS_OK);
    same = out.length > length && memcmp(text, code, length) == 0 && text[length] == 0x1f;
    if (!same) fprintf(stderr, "wanted %s, got %.*s\n", code, (int)out.length, text);
    return same;
}

static uint64_t connect_to(const char *server, const char *user, const char *token_variable) {
    const char *token = getenv(token_variable);
    uint16_t secret[256];
    uint32_t length = 0;
    fields f = {.length = 0};
    uss_out out;
    CHECK(token != NULL && strlen(token) <= 256);
    for (; token[length] != 0; length++) secret[length] = (uint16_t)token[length]; /* tokens are ASCII */
    add(&f, "server", server);
    add(&f, "user", user);
    CHECK(uss_connection_open(f.text, f.length, secret, length, &out) == USS_OK);
    memset(secret, 0, sizeof secret);
    return out.id;
}

static uint64_t start(const fields *f) {
    uss_out out;
    int32_t status = uss_op_start(f->text, f->length, &out);
    if (status != USS_OK) show("error", out);
    CHECK(status == USS_OK);
    return out.id;
}

/* Shows all pages; the operation stays. Returns how many there were. */
static int show_pages(const char *what, uint64_t op) {
    uint64_t progress[USS_PROGRESS_LENGTH];
    uss_out out;
    int32_t status;
    int pages = 0;
    do {
        while ((status = uss_op_wait(op, 200, progress, USS_PROGRESS_LENGTH, &out)) == USS_PENDING) {
            CHECK(progress[3] <= progress[4] || progress[4] == 0); /* bytes done, bytes in all */
        }
        CHECK(status == USS_READY);
        status = uss_op_take_result(op, &out);
        show(status == USS_FAILED ? "error" : what, out);
        CHECK(status != USS_FAILED);
        pages++;
    } while (status == USS_PENDING);
    CHECK(uss_log_drain(op, &out) == USS_OK);
    if (out.id != 0) show("log", out);
    return pages;
}

static void sign_in(uint64_t connection) {
    fields f = {.length = 0};
    uint64_t op;
    add(&f, "command", "connect");
    add_id(&f, "connection", connection);
    add(&f, "format", "json");
    op = start(&f);
    CHECK(show_pages("connected", op) == 1);
    CHECK(uss_op_free(op) == USS_OK);
}

static void list_versions(uint64_t connection, const char *package, const char *format) {
    fields f = {.length = 0};
    uint64_t op;
    add(&f, "command", "versions");
    add_id(&f, "connection", connection);
    add(&f, "packageId", package);
    add(&f, "versionQuery", "");
    add(&f, "format", format);
    add(&f, "log", "verbose");
    op = start(&f);
    CHECK(show_pages("version", op) == 1);
    CHECK(uss_op_free(op) == USS_OK);
}

static void copy(uint64_t source, uint64_t destination, const char *package) {
    fields plan = {.length = 0}, run = {.length = 0};
    uint64_t planned, copying;
    uss_out out;
    add(&plan, "command", "plan-copy");
    add_id(&plan, "source", source);
    add_id(&plan, "destination", destination);
    add(&plan, "packageId", package);
    add(&plan, "format", "json");
    planned = start(&plan);
    CHECK(show_pages("planned", planned) == 1);
    add(&run, "command", "copy");
    add_id(&run, "plan", planned);
    add(&run, "format", "json");
    copying = start(&run);
    CHECK(uss_op_free(planned) == USS_OK); /* the copy has the plan now */
    CHECK(show_pages("copied", copying) >= 1);
    CHECK(failed_with(uss_op_take_result(copying, &out), out, "InvalidHandle"));
    CHECK(uss_op_free(copying) == USS_OK);
    CHECK(failed_with(uss_op_start(run.text, run.length, &out), out, "InvalidHandle")); /* the plan is gone */
}

static void misuse_ids(uint64_t connection) {
    uint64_t ids[] = {0, 1, UINT64_MAX, (uint64_t)1 << 63, connection, connection ^ ((uint64_t)1 << 40), connection ^ ((uint64_t)3 << 56)};
    uss_out out;
    size_t i;
    for (i = 0; i < sizeof ids / sizeof *ids; i++) {
        uint8_t byte;
        uint16_t unit;
        const uint8_t *data;
        uint64_t length;
        CHECK(failed_with(uss_op_wait(ids[i], 0, NULL, 0, &out), out, "InvalidHandle"));
        CHECK(failed_with(uss_op_take_result(ids[i], &out), out, "InvalidHandle"));
        CHECK(failed_with(uss_log_drain(ids[i], &out), out, "InvalidHandle"));
        CHECK(uss_op_cancel(ids[i]) == USS_FAILED);
        CHECK(uss_op_free(ids[i]) == USS_FAILED);
        CHECK(uss_buffer_take(ids[i], &byte, 1) == USS_FAILED);
        CHECK(uss_buffer_view(ids[i], &data, &length) == USS_FAILED);
        CHECK(uss_buffer_free(ids[i]) == USS_FAILED);
        CHECK(uss_secret_take(ids[i], &unit, 1) == USS_FAILED);
        CHECK(ids[i] == connection || uss_connection_close(ids[i]) == USS_FAILED);
    }
}

static void misuse_null(uint64_t connection) {
    uint64_t counts[5];
    fields f = {.length = 0};
    uss_out out;
    CHECK(failed_with(uss_connection_open(NULL, 0, NULL, 0, &out), out, "InvalidArgument"));
    CHECK(failed_with(uss_connection_open(NULL, 5, NULL, 0, &out), out, "InvalidArgument"));
    CHECK(failed_with(uss_op_start(NULL, 0, &out), out, "InvalidArgument"));
    CHECK(failed_with(uss_op_start((const uint8_t *)"\xff\0x", 3, &out), out, "InvalidArgument"));
    CHECK(uss_op_start(NULL, 9, NULL) == USS_FAILED);
    CHECK(uss_op_take_result(1, NULL) == USS_FAILED);
    CHECK(uss_log_drain(1, NULL) == USS_FAILED);
    CHECK(uss_debug_counts(NULL, 5) == USS_FAILED);
    CHECK(uss_debug_counts(counts, 5) == USS_OK);
    add(&f, "command", "versions");
    add_id(&f, "connection", connection);
    CHECK(failed_with(uss_op_start(f.text, f.length, &out), out, "InvalidArgument")); /* no packageId */
    add(&f, "packageId", "a");
    add(&f, "colour", "red");
    CHECK(failed_with(uss_op_start(f.text, f.length, &out), out, "InvalidArgument"));
}

/* An operation that is freed while it runs; the process must be able to end at once. */
static void leave_running(uint64_t connection) {
    fields f = {.length = 0};
    uint64_t op;
    add(&f, "command", "packages");
    add_id(&f, "connection", connection);
    op = start(&f);
    CHECK(uss_op_cancel(op) == USS_OK);
    CHECK(uss_op_cancel(op) == USS_OK);
    CHECK(uss_op_free(op) == USS_OK);
    CHECK(uss_op_free(op) == USS_FAILED);
    CHECK(uss_op_cancel(op) == USS_FAILED);
}

int main(int argc, char **argv) {
    uint64_t source, destination, counts[4];
    CHECK(argc == 6);
    CHECK(uss_abi_version() == USS_ABI_VERSION);
    source = connect_to(argv[1], argv[2], "SOURCE_TOKEN");
    destination = connect_to(argv[3], argv[4], "DESTINATION_TOKEN");
    sign_in(source);
    sign_in(destination);
    list_versions(source, argv[5], "json");
    list_versions(source, argv[5], "clixml");
    copy(source, destination, argv[5]);
    list_versions(destination, argv[5], "json");
    copy(source, destination, argv[5]); /* everything is there: skipped */
    misuse_ids(source);
    misuse_null(source);
    leave_running(destination);
    CHECK(uss_connection_close(destination) == USS_OK);
    CHECK(uss_connection_close(destination) == USS_FAILED);
    CHECK(uss_connection_close(source) == USS_OK);
    CHECK(uss_debug_counts(counts, 4) == USS_OK);
    CHECK(counts[0] == 0 && counts[1] == 0 && counts[2] == 0 && counts[3] == 0); /* nothing was left behind */
    puts("done");
    return 0;
}
