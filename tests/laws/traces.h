/* The table of traces: continuous flows in training, by every kind of trace, probes and penalty. */
#ifndef RH_TESTS_TRACES_H
#define RH_TESTS_TRACES_H
#include "laws/law.h"

enum { TRACE_WIDTH = 4, TRACE_ROWS = 7 };
#define TRACE_SHAKE 1.0

/* Where the trace is estimated. */
typedef enum where { NOWHERE, TRAINING, SCORING_TOO } where;

/* A new kind of trace, probe or penalty adds rows and inherits every law. */
typedef struct trace_entry {
  const char *name, *spec; /* of a cnf */
  where estimated;
  int columns, context;
  bool turned; /* the inverse, which is given no probes: an exact trace, and no penalty that needs them */
} trace_entry;

#define CNF(more, field)            "{\"type\":\"cnf\",\"time\":0.06,\"steps\":2," more ",\"field\":{" field "}}"
#define CNF_CONTROLLED(more, field) "{\"type\":\"cnf\",\"time\":0.06,\"rtol\":1e-10,\"atol\":1e-10," more ",\"field\":{" field "}}"
/* what departs from a straight line does so in time */
#define CNF_LONG(more, field) "{\"type\":\"cnf\",\"time\":0.25,\"steps\":5," more ",\"field\":{" field "}}"
#define LINES                 "\"straight\":10"
#define SIGNS                 "\"trace\":\"hutchinson\",\"probe\":\"rademacher\""
#define NORMAL                "\"trace\":\"hutchinson\",\"probe\":\"gaussian\""
#define PENALTIES             "\"kinetic\":4,\"jacobian\":20"

static const trace_entry trace_table[] = {
    {"auto, in closed form, kinetic", CNF("\"kinetic\":4", "\"hidden\":[4,3]"), NOWHERE, 3, 0, false},
    {"auto, few columns, a context", CNF("\"trace\":\"auto\"", "\"type\":\"mlp\",\"hidden\":[3],\"activation\":\"silu\""), NOWHERE, 3,
     LAW_CONTEXT, false},
    {"auto, more columns", CNF("\"trace\":\"auto\"", "\"type\":\"residual\",\"hidden\":3,\"blocks\":1,\"activation\":\"tanh\""), TRAINING,
     4, 0, false},
    {"exact, both penalties, signs, a context",
     CNF("\"trace\":\"exact\"," PENALTIES, "\"hidden\":[3,3],\"time\":\"squash\",\"activation\":\"softplus\""), NOWHERE, 3, LAW_CONTEXT,
     false},
    {"exact, jacobian, two normal probes",
     CNF("\"trace\":\"exact\",\"probe\":\"gaussian\",\"probes\":2,\"jacobian\":20", "\"type\":\"planar\",\"units\":3"), NOWHERE, 3, 0,
     false},
    {"signs, a context", CNF(SIGNS ",\"gradient\":\"store\"", "\"hidden\":[3,3,3],\"time\":\"squash\""), TRAINING, 3, LAW_CONTEXT, false},
    {"two signs, both penalties, adjoint", CNF(SIGNS ",\"probes\":2,\"gradient\":\"adjoint\"," PENALTIES, "\"hidden\":[3]"), TRAINING, 2, 0,
     false},
    {"normal probes", CNF(NORMAL, "\"type\":\"planar\",\"units\":3"), TRAINING, 3, 0, false},
    {"two normal probes, both penalties, a context", CNF(NORMAL ",\"probes\":2," PENALTIES, "\"type\":\"linear\""), TRAINING, 3,
     LAW_CONTEXT, false},
    {"signs, both penalties, by tolerance", CNF_CONTROLLED(SIGNS "," PENALTIES, "\"hidden\":[3,2],\"time\":\"squash\""), TRAINING, 3, 0,
     false},
    {"normal probes, both penalties, trained in equal steps",
     CNF_CONTROLLED(NORMAL ",\"training_solver\":\"rk4\",\"training_steps\":5," PENALTIES, "\"hidden\":[4],\"activation\":\"gelu\""),
     TRAINING, 3, 0, false},
    {"signs in scoring, too, a penalty",
     CNF("\"exact_columns\":2,\"probe\":\"rademacher\",\"kinetic\":4", "\"hidden\":[3,3],\"time\":\"squash\""), SCORING_TOO, 3, 0, false},
    {"normal probes in scoring, too",
     CNF("\"exact_columns\":1,\"probe\":\"gaussian\",\"probes\":2", "\"type\":\"mlp\",\"hidden\":[3],\"activation\":\"tanh\""), SCORING_TOO,
     2, 0, false},
    {"exact, straight", CNF_LONG("\"trace\":\"exact\"," LINES, "\"hidden\":[3],\"activation\":\"softplus\""), NOWHERE, 2, 0, false},
    {"signs, straight, a context", CNF_LONG(SIGNS ",\"kinetic\":0.1," LINES, "\"type\":\"planar\",\"units\":3"), TRAINING, 3, LAW_CONTEXT,
     false},
    {"turned round, every penalty, a context", CNF_LONG(SIGNS "," PENALTIES "," LINES, "\"hidden\":[3]"), NOWHERE, 3, LAW_CONTEXT, true},
};
enum { TRACE_ENTRIES = sizeof trace_table / sizeof *trace_table };

static inline json_t *trace_spec(const trace_entry *e) {
  json_t *spec;
  PROBE_OK(rh_json_parse(e->spec, strlen(e->spec), e->name, &spec));
  return spec;
}

static inline double trace_number(const json_t *spec, const char *key, double usual) {
  const json_t *value = json_object_get(spec, key);
  return value ? json_number_value(value) : usual;
}

static inline bool trace_probes_normal(const json_t *spec) {
  const char *kind = json_string_value(json_object_get(spec, "probe"));
  return kind && strcmp(kind, "gaussian") == 0;
}
#endif
