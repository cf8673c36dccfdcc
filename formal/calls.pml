/*
 * Calls, their outcomes, and whether they are sent again (docs/protocol.md §8 to §11), against a host
 * that does what it likes. README.md beside this file says what is claimed and what is left out.
 *
 * Two calls: 0 of a method that is not idempotent, 1 of one that is. Three sessions. The host is every
 * choice that is left open: when a step comes, or never; and `cut`, which is also an outer status that it
 * forges, after which it may go on delivering to the enclave what the client sealed before. It can do no
 * more, since records are opened in order and once (§7).
 *
 * Each step is atomic and uses something up, so every run ends. What the enclave seals, GOAWAY apart, the
 * client reads in the same step, or never: reading it later would commute with all that comes between.
 * Variables that are of no interest any more go back to 0, which makes fewer states.
 */

/* Mutations: each takes a rule away, and must break a claim. HONEST is a host that only forwards. */
#ifdef RESEND_AFTER_CUT
#define MAY_HAVE_RUN_AGAIN(c) true
#else
#define MAY_HAVE_RUN_AGAIN(c) (c == 1)                   /* §10: if it is declared idempotent */
#endif
#ifdef RESEND_ANSWERED
#define IS_ANSWERED(c) false
#else
#define IS_ANSWERED(c) (answers[c] > 0)                  /* §10: nothing was given to the application */
#endif
#ifdef FORGET_UNKNOWN
#define NOT_RUN(c) NOT_EXECUTED
#else
#define NOT_RUN(c) (unknown[c] -> UNKNOWN : NOT_EXECUTED)  /* §9.3: the outcome covers all attempts */
#endif
#ifdef RUN_AFTER_GOAWAY
#define IS_DROPPED(s, number) false
#else
#define IS_DROPPED(s, number) (goaway[s] == SEALED && number > last[s])  /* §9.2 step 1 */
#endif
#ifdef REFUSE_STARTED
#define MAY_REFUSE(state) (state == RECEIVED || state == STARTED)
#else
#define MAY_REFUSE(state) (state == RECEIVED)            /* §9.2: REFUSED only of what was not started */
#endif
#ifdef IGNORE_GOAWAY
#define IS_ABOVE(s, number) false
#else
#define IS_ABOVE(s, number) (number > last[s])           /* §10: such a call has not run, and will not */
#endif
#ifdef HONEST
#define HOSTILE false
#else
#define HOSTILE true
#endif

#define SESSIONS 3
#ifndef LIMIT
#define LIMIT 3                                          /* §10: attempts that are sealed */
#endif
#ifdef NO_LIMIT
#define MAX_ATTEMPTS SESSIONS
#else
#define MAX_ATTEMPTS LIMIT
#endif

/* The client: what it knows of each call. Outcomes are those of §9.3. */
#define PENDING      0
#define EXECUTED     1
#define UNKNOWN      2
#define NOT_EXECUTED 3
#define UNSTARTED    4                                   /* END of a call that was not started */
byte outcome[2];
bool waits[2];                                           /* an attempt is sealed and not over */
byte on[2];                                              /* ... on this session */
byte number[2];                                          /* ... with this call_id */
bool begun[2];                                           /* ... and has given a part of an answer */
byte attempts[2];
bool unknown[2];                                         /* an earlier attempt ended so */
byte answers[2];                                         /* given to the application, at least in part */
bool used[2 * SESSIONS];                                 /* call c was sealed on session s */
byte sealed[SESSIONS];                                   /* OPENs, so the highest call_id */
bool lost[SESSIONS];                                     /* cut, as the client sees it */
bool drained[SESSIONS];                                  /* GOAWAY was read */

/* What is sealed and not delivered, then the enclave: the state of each call on each session. */
mtype = { OPEN, CANCEL };
chan wire[SESSIONS] = [4] of { mtype, byte };
#define RECEIVED  1
#define STARTED   2
#define ANSWERING 3                                      /* HEADERS or a MESSAGE is out */
#define OVER      4
byte call[2 * SESSIONS];
byte received[SESSIONS];                                 /* OPENs, so the highest call_id */
#define BUILT  1                                         /* waits to be sealed: only with EARLY_LAST */
#define SEALED 2
byte goaway[SESSIONS];
byte last[SESSIONS];
byte runs[2];                                            /* how often its handler was started */
#ifdef EARLY_LAST
byte arrived[2 * SESSIONS];                              /* the call_id that it came with */
#endif
hidden byte c;

#define AT(s, c) 2 * s + c
#define IS_ON(s, c) (waits[c] && on[c] == s)
/* Records are read in order, so nothing behind a GOAWAY before it. */
#define READS(s, c) (IS_ON(s, c) && (goaway[s] != SEALED || drained[s]))

/* The attempt is over. What it would still be answered, nobody reads. */
inline leave(c) {
  if :: call[AT(on[c], c)] > RECEIVED -> call[AT(on[c], c)] = OVER :: else fi;
  waits[c] = false; begun[c] = false; on[c] = 0; number[c] = 0
}

inline finish(c, result) {
  outcome[c] = result;
  if :: waits[c] -> leave(c) :: else fi;
  attempts[c] = 0; unknown[c] = false;
  used[AT(0, c)] = false; used[AT(1, c)] = false; used[AT(2, c)] = false
}

inline answer(c) {
  if :: begun[c] :: else -> answers[c]++; begun[c] = true fi
}

/* GOAWAY below it, or REFUSED with `elsewhere`: it may be sent again. */
inline has_not_run(c) {
  if :: IS_ANSWERED(c) -> finish(c, UNKNOWN) :: else -> leave(c) fi
}

inline cut(c) {
  if
  :: MAY_HAVE_RUN_AGAIN(c) && !IS_ANSWERED(c) -> unknown[c] = true; leave(c)
  :: !(MAY_HAVE_RUN_AGAIN(c) && !IS_ANSWERED(c)) -> finish(c, UNKNOWN)
#ifdef BELIEVE_OUTER_OK
  :: true -> finish(c, EXECUTED)
#endif
  fi
}

/* What can become of a call that the enclave has received. */
#define ENCLAVE(s, c) \
  :: atomic { call[AT(s, c)] == RECEIVED -> \
       call[AT(s, c)] = (IS_ON(s, c) -> STARTED : OVER); runs[c]++ } \
  :: atomic { READS(s, c) && MAY_REFUSE(call[AT(s, c)]) -> call[AT(s, c)] = OVER; \
       if :: true -> finish(c, NOT_RUN(c)) :: true -> has_not_run(c) fi } \
  :: atomic { READS(s, c) && call[AT(s, c)] == STARTED -> call[AT(s, c)] = ANSWERING; answer(c) } \
  :: atomic { READS(s, c) && (call[AT(s, c)] == STARTED || call[AT(s, c)] == ANSWERING) -> \
       call[AT(s, c)] = OVER; answer(c); finish(c, EXECUTED) }
#ifdef END_UNSTARTED
#define ENDS(s, c) \
  :: atomic { READS(s, c) && call[AT(s, c)] == RECEIVED -> \
       call[AT(s, c)] = OVER; finish(c, UNSTARTED) }
#else
#define ENDS(s, c)
#endif

proctype Session(byte s) {
end:
  do
  :: atomic { wire[s]?OPEN(c) -> received[s]++;
#ifdef EARLY_LAST
       arrived[AT(s, c)] = received[s];
#endif
       if :: IS_DROPPED(s, received[s]) -> call[AT(s, c)] = OVER
          :: else -> call[AT(s, c)] = RECEIVED
       fi }
  :: atomic { wire[s]?CANCEL(c) -> call[AT(s, c)] = OVER }
  ENCLAVE(s, 0) ENCLAVE(s, 1) ENDS(s, 0) ENDS(s, 1)
#ifdef EARLY_LAST
  :: atomic { !lost[s] && sealed[s] && !goaway[s] -> goaway[s] = BUILT; last[s] = received[s] }
  :: atomic { !lost[s] && goaway[s] == BUILT -> goaway[s] = SEALED;
       if :: call[AT(s, 0)] == RECEIVED && IS_DROPPED(s, arrived[AT(s, 0)]) -> call[AT(s, 0)] = OVER
          :: else fi;
       if :: call[AT(s, 1)] == RECEIVED && IS_DROPPED(s, arrived[AT(s, 1)]) -> call[AT(s, 1)] = OVER
          :: else fi }
#else
  /* §10: `last` is chosen in the step that seals GOAWAY. */
  :: atomic { !lost[s] && sealed[s] && !goaway[s] -> goaway[s] = SEALED; last[s] = received[s] }
#endif
  :: atomic { !lost[s] && goaway[s] == SEALED && !drained[s] -> drained[s] = true;
       if :: IS_ON(s, 0) && IS_ABOVE(s, number[0]) -> has_not_run(0) :: else fi;
       if :: IS_ON(s, 1) && IS_ABOVE(s, number[1]) -> has_not_run(1) :: else fi }
  :: atomic { HOSTILE && !lost[s] && (IS_ON(s, 0) || IS_ON(s, 1)) ->
       lost[s] = true; drained[s] = false; sealed[s] = 1;
       if :: IS_ON(s, 0) -> cut(0) :: else fi;
       if :: IS_ON(s, 1) -> cut(1) :: else fi }
  od
}

/* A session on which this call was never sealed (§10). They are alike: s + 1 is used after s. */
#define IS_USABLE(s, c) (!lost[s] && !drained[s] && !used[AT(s, c)])
#define IS_ANY_USABLE(c) \
  (IS_USABLE(0, c) || (sealed[0] && IS_USABLE(1, c)) || (sealed[1] && IS_USABLE(2, c)))
#define SEAL(s, c, is_next) \
  :: atomic { outcome[c] == PENDING && !waits[c] && attempts[c] < MAX_ATTEMPTS && is_next && \
       IS_USABLE(s, c) -> \
       attempts[c]++; used[AT(s, c)] = true; sealed[s]++; \
       waits[c] = true; on[c] = s; number[c] = sealed[s]; wire[s]!OPEN(c) }

proctype Client(byte own) {
end:
  do
  SEAL(0, own, true) SEAL(1, own, sealed[0]) SEAL(2, own, sealed[1])
  /* No attempt is left, or its time is over. */
  :: atomic { outcome[own] == PENDING && !waits[own] &&
       (HOSTILE || attempts[own] == MAX_ATTEMPTS || !IS_ANY_USABLE(own)) -> finish(own, NOT_RUN(own)) }
  /* Its own cancel, or its deadline. */
  :: atomic { HOSTILE && waits[own] -> wire[on[own]]!CANCEL(own); finish(own, UNKNOWN) }
  od
}

init {
  atomic { run Session(0); run Session(1); run Session(2); run Client(0); run Client(1) }
}

/* A call that is not idempotent runs at most once. */
#define ONCE (runs[0] <= 1)
ltl once { [] ONCE }
/* What is called executed ran. */
#define RAN(c) (outcome[c] == EXECUTED -> runs[c] >= 1)
ltl executed { [] (RAN(0) && RAN(1)) }
/* An application is given one answer to a call, whole or in part. */
#define ANSWERED_ONCE (answers[0] <= 1 && answers[1] <= 1)
ltl answered_once { [] ANSWERED_ONCE }
/* An idempotent call runs as often as it may be sealed, at most. */
#define LIMITED (runs[1] <= LIMIT)
ltl limited { [] LIMITED }
/* These four, in one search. */
ltl safe { [] (ONCE && RAN(0) && RAN(1) && ANSWERED_ONCE && LIMITED) }
/* What is called not executed did not run, and never will. */
ltl not_executed { [] (outcome[0] == NOT_EXECUTED -> [] (runs[0] == 0)) }
ltl not_executed_idempotent { [] (outcome[1] == NOT_EXECUTED -> [] (runs[1] == 0)) }
/* Each call ends, if the host only forwards. */
ltl ends { <> (outcome[0] != PENDING && outcome[1] != PENDING) }
/* END is proof that the call was started. */
ltl end_is_proof {
  [] (outcome[0] == UNSTARTED -> runs[0] >= 1) && [] (outcome[1] == UNSTARTED -> runs[1] >= 1)
}
