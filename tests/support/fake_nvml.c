/* A stand-in for NVIDIA's libnvidia-ml.so.1.

   Every function looks up its answer in the file that FAKE_NVML names, in lines of `function status value`. Without the
   file there is no driver. Without a line, the function is not supported. The status HANG makes the call wait until the
   file says something else, as a driver does that hangs. The status ABORT ends the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, HANG = -1, ABORT = -2 };

static int answer(const char *function, unsigned long long *value)
{
    for (;;) {
        const char *path = getenv("FAKE_NVML");
        FILE *file = path ? fopen(path, "r") : NULL;
        if (!file)
            return DRIVER_NOT_LOADED;
        char name[64];
        int status, found = NOT_SUPPORTED;
        unsigned long long number;
        while (fscanf(file, "%63s %d %llu", name, &status, &number) == 3) {
            if (strcmp(name, function) == 0) {
                found = status;
                *value = number;
            }
        }
        fclose(file);
        if (found == ABORT)
            abort();
        if (found != HANG)
            return found;
        usleep(5000);
    }
}

static int number(const char *function, unsigned int *out)
{
    unsigned long long value = 0;
    int status = answer(function, &value);
    if (status == SUCCESS)
        *out = (unsigned int)value;
    return status;
}

/* On Thor, early at boot: whoever opened the driver then reads a load of 0 for ever. */
static int zero_until_reopened;

int nvmlInitWithFlags(unsigned int flags)
{
    unsigned int early = 0;
    (void)flags;
    int status = number("init", &early);
    zero_until_reopened = early != 0;
    return status;
}

int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int status) { return status == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "an error"; }

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    unsigned int n;
    (void)index;
    *device = (void *)1;
    return number("handle", &n);
}

int nvmlDeviceGetClockInfo(void *device, int type, unsigned int *mhz)
{
    (void)device;
    return type == 0 ? number("clock", mhz) : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxClockInfo(void *device, int type, unsigned int *mhz)
{
    (void)device;
    return type == 0 ? number("max_clock", mhz) : NOT_SUPPORTED;
}

struct utilization { unsigned int gpu, memory; };

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *rates)
{
    (void)device;
    int status = number("load", &rates->gpu);
    if (zero_until_reopened)
        rates->gpu = 0;
    return status;
}

struct temperature { unsigned int version; int sensor, celsius; };

int nvmlDeviceGetTemperatureV(void *device, struct temperature *temperature)
{
    (void)device;
    return number("temperature", (unsigned int *)&temperature->celsius);
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons)
{
    (void)device;
    return answer("reasons", reasons);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *milliwatts) { (void)device; return number("power", milliwatts); }

/* The old names of two functions; a new driver has both. */
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons)
{
    (void)device;
    return answer("throttle_reasons", reasons);
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius)
{
    (void)device;
    return sensor == 0 ? number("old_temperature", celsius) : NOT_SUPPORTED;
}
