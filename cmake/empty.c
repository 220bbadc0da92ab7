/* Gives a library of no objects yet something to hold. */
typedef int rh_empty;
