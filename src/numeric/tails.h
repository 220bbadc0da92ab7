/* Tail probabilities in log space, exact however far out, and normal scores: the standard normal quantile at another distribution's
 * probability (the probability integral transform, Rosenblatt 1952, put on the normal scale). */
#ifndef RH_NUMERIC_TAILS_H
#define RH_NUMERIC_TAILS_H

/* log P(Z > z), Z standard normal; any z. */
double rh_log_normal_above(double z);
/* log P(T > t), T Student-t with df > 0 degrees of freedom; any t. */
double rh_log_student_above(double t, double df);

/* z with P(Z < z) = P and P(Z > z) = Q, from log P and log Q, whose exponentials add up to one: the lesser tail is looked at. +-inf where
 * it is empty. */
double rh_normal_score(double log_below, double log_above);
#endif
