/* Progress as lines: see progress.h. */
#include "backend/docker/progress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/docker/call.h"

enum { TEXT_PIECE = 1024, PERCENT_STEP = 25 };

void
progress_init(struct progress *p, const char *what, docker_log_fn log, void *log_arg,
              struct error *error)
{
    *p = (struct progress){.what = what, .log = log, .log_arg = log_arg, .error = error};
    buf_init(&p->line, PROGRESS_OBJECT_MAX);
}

void
progress_done(struct progress *p)
{
    buf_done(&p->line);
}

/* Whether the byte at @text[@i] may go to a terminal: no control character but newline and tab. */
static bool
printable(const char *text, size_t i)
{
    unsigned char c = (unsigned char)text[i];

    if (c == '\n' || c == '\t')
        return true;
    if (c < 0x20 || c == 0x7f)
        return false;
    /* U+0080 to U+009F control terminals as well; both of their bytes go. */
    if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0 && (unsigned char)text[i + 1] >= 0x80)
        return false;
    return !(i > 0 && c >= 0x80 && c < 0xa0 && (unsigned char)text[i - 1] == 0xc2);
}

/* Log what a step printed, without what would control a terminal. */
static int
log_text(struct progress *p, const char *text)
{
    char piece[TEXT_PIECE];
    size_t len = 0;
    int r = 0;

    for (size_t i = 0; text[i] && r >= 0; i++) {
        /* Pieces end between two characters, so that each is valid UTF-8. */
        if (len > TEXT_PIECE - 4 && ((unsigned char)text[i] & 0xc0) != 0x80) {
            r = p->log(p->log_arg, piece, len);
            len = 0;
        }
        if (printable(text, i))
            piece[len++] = text[i];
    }
    return r < 0 || len == 0 ? r : p->log(p->log_arg, piece, len);
}

static struct progress_layer *
find_layer(struct progress *p, const char *id)
{
    for (size_t i = 0; i < p->layer_count; i++)
        if (strcmp(p->layers[i].id, id) == 0)
            return &p->layers[i];
    if (p->layer_count == PROGRESS_LAYERS_MAX)
        return NULL;
    docker_message(id, p->layers[p->layer_count].id, sizeof(p->layers[0].id));
    p->layers[p->layer_count].percent = -1;
    return &p->layers[p->layer_count++];
}

/* How much of it is done; -1 where that is not said. */
static int
percent_of(const json_t *object)
{
    const json_t *detail = json_object_get(object, "progressDetail");
    json_int_t current = json_integer_value(json_object_get(detail, "current"));
    json_int_t total = json_integer_value(json_object_get(detail, "total"));

    return total > 0 && current >= 0 && current <= total
               ? (int)((double)current / (double)total * 100)
               : -1;
}

/* Log "layer: status percent" where the status is another one, or a good step was made. */
static int
log_layer(struct progress *p, const char *raw_id, const char *status, int percent)
{
    char id[sizeof(p->layers[0].id)];
    char line[TEXT_PIECE];
    struct progress_layer *layer;
    bool news;

    docker_message(raw_id, id, sizeof(id));
    layer = find_layer(p, id);
    if (!layer)
        return 0;
    news = strncmp(layer->status, status, sizeof(layer->status) - 1) != 0;
    if (!news && (percent < 0 || percent / PERCENT_STEP == layer->percent / PERCENT_STEP))
        return 0;
    docker_message(status, layer->status, sizeof(layer->status));
    layer->percent = percent;
    if (percent < 0)
        snprintf(line, sizeof(line), "%s: %.256s\n", id, status);
    else
        snprintf(line, sizeof(line), "%s: %.256s %d%%\n", id, status, percent);
    return log_text(p, line);
}

static int
log_status(struct progress *p, const json_t *object, const char *status)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    int r;

    if (id && id[0])
        return log_layer(p, id, status, percent_of(object));
    r = log_text(p, status);
    return r < 0 ? r : log_text(p, "\n");
}

/* The stream is not what the API promises. */
static int
unexpected(struct progress *p)
{
    p->failed = docker_unexpected(p->what, p->error);
    return p->failed;
}

/* The image that a build has made: {"aux":{"ID":"sha256:..."}}. */
static void
note_image(struct progress *p, const json_t *object)
{
    const char *id = json_string_value(json_object_get(json_object_get(object, "aux"), "ID"));

    if (id && strlen(id) < sizeof(p->image_id))
        snprintf(p->image_id, sizeof(p->image_id), "%s", id);
}

static int
take_object(struct progress *p, const json_t *object)
{
    const json_t *failure = json_object_get(object, "errorDetail");
    const char *message = json_string_value(json_object_get(failure, "message"));
    const char *text;
    char sentence[200], detail[320];

    p->objects++;
    if (!message)
        message = json_string_value(json_object_get(object, "error"));
    if (failure || message) {
        docker_sentence(message, sentence, sizeof(sentence));
        docker_message(message, detail, sizeof(detail));
        p->failed = error_set_detail(p->error, ERR_DOCKER, detail, "the %s failed: %s", p->what,
                                     sentence[0] ? sentence : "Docker did not say why");
        return p->failed;
    }
    note_image(p, object);
    text = json_string_value(json_object_get(object, "stream"));
    if (text)
        return log_text(p, text);
    text = json_string_value(json_object_get(object, "status"));
    return text ? log_status(p, object, text) : 0;
}

/* Take the objects of a complete line: usually one, but nothing says so. */
static int
take_line(struct progress *p)
{
    int r = 0;

    while (r == 0 && p->line.len > 0) {
        size_t blank = strspn(p->line.data, " \r\n\t\x1e");
        json_auto_t *object = NULL;
        json_error_t e;

        buf_consume(&p->line, blank);
        if (p->line.len == 0)
            break;
        object = json_loadb(p->line.data, p->line.len, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &e);
        if (!json_is_object(object) || e.position <= 0)
            return unexpected(p);
        buf_consume(&p->line, (size_t)e.position);
        r = take_object(p, object);
    }
    buf_clear(&p->line);
    return r;
}

int
progress_take(void *progress, const char *data, size_t len)
{
    struct progress *p = progress;
    int r = len == 0 ? p->log(p->log_arg, NULL, 0) : 0;

    while (r >= 0 && len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t piece = end ? (size_t)(end - data) + 1 : len;

        if (buf_append(&p->line, data, piece) < 0)
            return unexpected(p);
        data += piece;
        len -= piece;
        if (end)
            r = take_line(p);
    }
    return r;
}

int
progress_end(struct progress *p)
{
    int r = take_line(p);

    if (r == 0 && p->objects == 0)
        r = unexpected(p);
    return r;
}
