/* rheo plot: its table. What it does stands in plot_run.c, in a program of its own (start_plot.c). */
#include "shared_options.h"

static const arg_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = ARG_TEXT,
     .value = "OUT",
     .help = "The picture: PNG if OUT ends in .png, SVG if it ends in .svg. Required."},
    {.name = "samples", .kind = ARG_COUNT, .value = "N", .most = 20000, .help = "Draw N samples as dots. Default 500."},
    {.name = "range",
     .kind = ARG_TEXT,
     .value = "LIST",
     .help = "What the axes show: xmin,xmax,ymin,ymax; of one column xmin,xmax. Default: the 0.1 to 99.9 % quantiles of samples and DATA, "
             "10 % wider."},
    CONTEXT_VALUES_OPTION("Of a conditional model the context"),
    SEED_OPTION("Of the samples, and of the noise that discrete columns need."),
    DRAWS_OPTION("16"),
    MODEL_COLUMNS_OPTION,
    HEADER_OPTION,
    MODEL_DTYPE_OPTION,
    SOLVER_OPTIONS,
};

const cli_command command_plot = {
    .name = "plot",
    .operands = "MODEL [DATA] -o OUT",
    .summary = "Draw a density of one or two columns, with samples and data.",
    .details =
        "Of two columns: the density, with lines that hold 50 % and 95 % of its mass, and beside it samples and the rows of DATA. Of one: "
        "its curve over a histogram of DATA, or of samples. Of a continuous flow of two columns a third panel shows the paths by which "
        "samples come from "
        "the base. Of a conditional model the density given --context-values, and those rows of "
        "DATA that have this context. The same model and options give the same bytes.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 2,
    .run = plot_run,
};
