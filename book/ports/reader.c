/* Run a golden vector through its table.  cc -O2 reader.c -lm -o reader && ./reader NAME.table.json NAME.run.json */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *text_of(const char *name) {
    FILE *file = fopen(name, "rb");
    if (!file) { perror(name); exit(2); }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(size + 1, 1);
    if (fread(text, 1, size, file) != (size_t)size) exit(2);
    fclose(file);
    return text;
}

/* All numbers behind the n-th `"key":`, in nested lists or not; strtod reads hexadecimal floats, true is 1. */
static double *numbers(const char *text, const char *key, int n, int *count) {
    const char *at = text;
    for (int k = 0; k <= n; k++) {
        if (!(at = strstr(at, key))) { fprintf(stderr, "no %s\n", key); exit(2); }
        at += strlen(key);
    }
    double *found = malloc(sizeof(double) * (strlen(at) / 2 + 1));
    int depth = 0;
    *count = 0;
    do {
        at += strspn(at, " \n\r\t\",:");
        if (*at == '[') { depth++; at++; }
        else if (*at == ']') { depth--; at++; }
        else if (*at == 't' || *at == 'f') { found[(*count)++] = *at == 't'; at += *at == 't' ? 4 : 5; }
        else { char *end; found[(*count)++] = strtod(at, &end); at = end; }
    } while (depth > 0);
    return found;
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "usage: reader NAME.table.json NAME.run.json\n"); return 2; }
    char *table = text_of(argv[1]), *run = text_of(argv[2]);
    int vectors, size, one, k_max, j_max, l_max, all, made = 0, drawn = 0;
    double *evaluated = numbers(table, "\"evaluated\":", 0, &vectors);
    double *states = numbers(table, "\"states\":", 0, &k_max), *outputs = numbers(table, "\"outputs\":", 0, &j_max);
    double *weights = numbers(table, "\"noises\":", 0, &l_max), *z = numbers(run, "\"noises\":", 0, &all);
    int rows = vectors - (int)*numbers(table, "\"given\":", 0, &one), first = vectors - rows;
    k_max /= rows, j_max /= rows, l_max /= rows;  /* lags */
    double **v = calloc(vectors, sizeof *v), **d = calloc(vectors, sizeof *d), **noise = calloc(vectors, sizeof *noise);
    v[0] = numbers(run, "\"start\":", 0, &size);
    for (int i = 0; i < rows; i++)  /* z_i is drawn if a row uses it, in the order of the vectors */
        for (int r = i; r < rows && r - i < l_max; r++)
            if (weights[r * l_max + r - i] != 0) { noise[first + i] = z + size * drawn++; break; }
    double worst = 0;
    int same = 1;
    for (int i = 0; i < vectors; i++) {
        if (i >= first) {
            v[i] = calloc(size, sizeof(double));
            for (int c = 0, r = i - first; c < size; c++) {
                for (int k = 0; k < k_max && k < i; k++) v[i][c] += states[r * k_max + k] * v[i - 1 - k][c];
                for (int j = 0; j < j_max && j < i; j++)
                    if (d[i - 1 - j]) v[i][c] += outputs[r * j_max + j] * d[i - 1 - j][c];
                for (int l = 0; l < l_max && l <= r; l++)
                    if (noise[i - l]) v[i][c] += weights[r * l_max + l] * noise[i - l][c];
            }
        }
        if (!evaluated[i] && i < vectors - 1) continue;
        double *expected = numbers(run, i < vectors - 1 ? "\"input\":" : "\"end\":", i < vectors - 1 ? made : 0, &one);
        double largest = 0;
        for (int c = 0; c < size; c++) largest = fmax(largest, fabs(expected[c]));
        for (int c = 0; c < size; c++) {
            double gap = fabs(v[i][c] - expected[c]);
            same = same && gap <= 1e-12 * largest;  /* false for NaN too */
            worst = fmax(worst, largest > 0 ? gap / largest : gap);
        }
        if (evaluated[i]) d[i] = numbers(run, "\"output\":", made++, &one);
    }
    printf("%d vectors, %d evaluations, largest difference %.1e\n", vectors, made, worst);
    return !same;
}
