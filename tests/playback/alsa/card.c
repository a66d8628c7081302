/* A card for ALSA's mixer: an external control plugin that has decibels and stores its values in a file.

   PCM: 0 to 120 in steps of 0.5 dB, -60 to 0 dB, two channels, with a switch. Amp: 0 to 31 in steps of 1 dB from silence
   to +6 dB, without a switch. Without a file name it acts like an unplugged card: changes fail. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <alsa/asoundlib.h>
#include <alsa/control_external.h>

enum { PCM_VOLUME, PCM_SWITCH, AMP_VOLUME, ELEMENTS };

static const struct {
    const char *name;
    int type, channels;
    long most;
    unsigned int tlv[4];
} table[ELEMENTS] = {
    {"PCM Playback Volume", SND_CTL_ELEM_TYPE_INTEGER, 2, 120, {1, 8, (unsigned int)-6000, 50}},
    {"PCM Playback Switch", SND_CTL_ELEM_TYPE_BOOLEAN, 1, 1, {0}},
    {"Amp Playback Volume", SND_CTL_ELEM_TYPE_INTEGER, 1, 31, {1, 8, (unsigned int)-2500, 0x10000 | 100}},
};

typedef struct {
    snd_ctl_ext_t ext;
    char *path;
    long values[ELEMENTS][2];
} card_t;

static int elem_count(snd_ctl_ext_t *ext) { return ELEMENTS; }

static int elem_list(snd_ctl_ext_t *ext, unsigned int offset, snd_ctl_elem_id_t *id) {
    snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
    snd_ctl_elem_id_set_name(id, table[offset].name);
    return 0;
}

static snd_ctl_ext_key_t find_elem(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id) {
    for (int i = 0; i < ELEMENTS; i++)
        if (!strcmp(snd_ctl_elem_id_get_name(id), table[i].name))
            return i;
    return SND_CTL_EXT_KEY_NOT_FOUND;
}

static int get_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *access,
                         unsigned int *count) {
    *type = table[key].type;
    *count = table[key].channels;
    *access = SND_CTL_EXT_ACCESS_READWRITE;
    if (table[key].tlv[0])
        *access |= SND_CTL_EXT_ACCESS_TLV_READ;
    ext->tlv.p = table[key].tlv;
    return 0;
}

static int get_integer_info(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *least, long *most, long *step) {
    *least = 0;
    *most = table[key].most;
    *step = 1;
    return 0;
}

static int read_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value) {
    memcpy(value, ((card_t *)ext->private_data)->values[key], table[key].channels * sizeof(long));
    return 0;
}

static int write_integer(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value) {
    card_t *card = ext->private_data;
    if (!strcmp(card->path, "dead"))
        return -ENODEV;
    memcpy(card->values[key], value, table[key].channels * sizeof(long));
    FILE *file = fopen(card->path, "w");
    if (!file)
        return -errno;
    fprintf(file, "%ld %ld %ld %ld\n", card->values[PCM_VOLUME][0], card->values[PCM_VOLUME][1],
            card->values[PCM_SWITCH][0], card->values[AMP_VOLUME][0]);
    fclose(file);
    return 1;
}

static int read_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *mask) { return -EAGAIN; }

static const snd_ctl_ext_callback_t callbacks = {
    .elem_count = elem_count,
    .elem_list = elem_list,
    .find_elem = find_elem,
    .get_attribute = get_attribute,
    .get_integer_info = get_integer_info,
    .read_integer = read_integer,
    .write_integer = write_integer,
    .read_event = read_event,
};

SND_CTL_PLUGIN_DEFINE_FUNC(testcard) {
    const char *path = "dead";
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(i);
        const char *id;
        if (snd_config_get_id(entry, &id) >= 0 && !strcmp(id, "keeps"))
            snd_config_get_string(entry, &path);
    }
    card_t *card = calloc(1, sizeof(*card));
    card->path = strdup(path);
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%ld %ld %ld %ld", &card->values[0][0], &card->values[0][1], &card->values[1][0],
                   &card->values[2][0]) != 4)
            return -EINVAL;
        fclose(file);
    }
    card->ext.version = SND_CTL_EXT_VERSION;
    card->ext.callback = &callbacks;
    card->ext.private_data = card;
    card->ext.poll_fd = -1;
    strcpy(card->ext.id, "testcard");
    strcpy(card->ext.driver, "testcard");
    strcpy(card->ext.name, "a card of a test");
    strcpy(card->ext.mixername, "a card of a test");
    int status = snd_ctl_ext_create(&card->ext, name, mode);
    if (status < 0)
        return status;
    *handlep = card->ext.handle;
    return 0;
}

SND_CTL_PLUGIN_SYMBOL(testcard);
