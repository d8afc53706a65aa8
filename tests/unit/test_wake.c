/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the leader waits for requests, and when CPUs are kept from idling: the decisions alone. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/wake.h"
#include "probe/wakeup.h"
#include "suite.h"

#define US 1000ull
#define MS 1000000ull
struct model {
	struct wake w;
	struct wake_look look;
	uint64_t now, delayed;
	unsigned spins;
};

static void model_init(struct model *m, enum option_wake mode, unsigned cpus)
{
	memset(m, 0, sizeof(*m));
	m->now = 1000 * MS;
	m->look = (struct wake_look){ 0 };
	wake_init(&m->w, mode, cpus);
}

/* A request comes gap ns after the one before was done; CPUs are busy for busy % of the time. */
static bool request(struct model *m, uint64_t gap, unsigned busy)
{
	enum wake_came came = WAKE_SLEPT;
	uint64_t budget;

	if (wake_wants_times(&m->w, &m->look, m->now))
		wake_times(&m->w, &m->look, m->now, true, m->delayed);
	budget = wake_budget(&m->w, m->now);
	if (budget) {
		m->spins++;
		came = gap <= budget ? WAKE_CAUGHT : WAKE_MISSED;
	}
	m->now += gap;
	m->delayed += gap * busy / 100;
	return wake_arrived(&m->w, came, m->now, gap);
}

static unsigned spins_of(struct model *m, unsigned requests, uint64_t gap, unsigned busy)
{
	m->spins = 0;
	for (unsigned i = 0; i < requests; i++)
		request(m, gap, busy);
	return m->spins;
}

START_TEST(modes)
{
	struct model m;

	model_init(&m, OPTION_WAKE_SLEEP, 8);
	ck_assert_uint_eq(spins_of(&m, 1000, 5 * US, 0), 0);
	model_init(&m, OPTION_WAKE_SPIN, 1);
	ck_assert_uint_eq(spins_of(&m, 1000, 5 * US, 0), 0);
	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert_uint_ge(spins_of(&m, 1000, 15 * US, 0), 990);
	model_init(&m, OPTION_WAKE_QOS, 2);
	ck_assert_uint_ge(spins_of(&m, 1000, 15 * US, 0), 990);
	model_init(&m, OPTION_WAKE_SPIN, 2);
	ck_assert_uint_ge(spins_of(&m, 1000, 45 * US, 0), 990);
}
END_TEST

/* Where requests are far apart, or come just too late, it is not tried for ever. */
START_TEST(does_not_pay)
{
	struct model m;

	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert_uint_eq(spins_of(&m, 1000, 200 * US, 0), 0);
	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert_uint_le(spins_of(&m, 10000, 40 * US, 0), 1000);
	/* A program that ends leaves one vain spin behind. */
	model_init(&m, OPTION_WAKE_AUTO, 2);
	spins_of(&m, 1000, 10 * US, 0);
	m.spins = 0;
	for (unsigned i = 0; i < 100; i++)
		request(&m, 10 * MS, 0);
	ck_assert_uint_le(m.spins, 3);
}
END_TEST

START_TEST(backs_off)
{
	struct model m;
	unsigned all = 100000;

	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert_uint_le(spins_of(&m, all, 10 * US, 20), all / 20);
	/* And comes back when the others have gone. */
	spins_of(&m, 10000, 10 * US, 0);
	ck_assert_uint_ge(spins_of(&m, 1000, 10 * US, 0), 990);
	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert_uint_ge(spins_of(&m, all, 10 * US, 5), all - 100);
}
END_TEST

START_TEST(times)
{
	struct wake_look look = { 0 }, other = { 0 };
	struct wake w;

	wake_init(&w, OPTION_WAKE_AUTO, 2);
	w.score = 8;
	/* A kernel that can't tell: no spinning at all. */
	wake_times(&w, &look, 1000 * MS, false, 0);
	ck_assert_uint_eq(wake_budget(&w, 1000 * MS), 0);
	/* The first look at a thread says nothing: its past may be long. */
	wake_init(&w, OPTION_WAKE_AUTO, 2);
	w.score = 8;
	look = other;
	wake_times(&w, &look, 1000 * MS, true, 900 * MS);
	ck_assert_uint_eq(wake_budget(&w, 1000 * MS), WAKE_SPIN_AUTO);
	ck_assert(!wake_wants_times(&w, &look, 1000 * MS + WAKE_LOOK_EVERY - 1));
	ck_assert(wake_wants_times(&w, &look, 1000 * MS + WAKE_LOOK_EVERY));
	ck_assert(wake_wants_times(&w, &other, 1000 * MS + 1));
	wake_times(&w, &look, 1010 * MS, true, 901 * MS);
	ck_assert_uint_eq(wake_budget(&w, 1010 * MS), 0);
	ck_assert_uint_eq(wake_budget(&w, 1010 * MS + WAKE_BACK_OFF), WAKE_SPIN_AUTO);
}
END_TEST

START_TEST(bursts)
{
	struct model m;

	model_init(&m, OPTION_WAKE_AUTO, 2);
	ck_assert(!request(&m, 10 * MS, 0));
	ck_assert(!request(&m, 100 * US, 0));
	ck_assert(!request(&m, 100 * US, 0));
	ck_assert(request(&m, 100 * US, 0));
	ck_assert(request(&m, 499 * US, 0));
	ck_assert(!request(&m, 500 * US, 0));
	ck_assert(!request(&m, 100 * US, 0));
	ck_assert(!request(&m, 100 * US, 0));
	ck_assert(request(&m, 100 * US, 0));
}
END_TEST

static const struct advice {
	struct wakeup facts;
	enum wakeup_advice wanted;
	int32_t value;
	const char *says;
} advices[] = {
	/* Several times cheaper, on a small virtual machine. */
	{ { WAKEUP_VIRTUAL, 2, 52000, 6000, 0 }, WAKEUP_HOLD, 0, "52.0 us, 6.0 with" },
	{ { WAKEUP_VIRTUAL, 8, 52000, 6000, 0 }, WAKEUP_HOLD, 0, "held during bursts" },
	{ { WAKEUP_VIRTUAL, 9, 52000, 6000, 0 }, WAKEUP_RECOMMEND, 0, "wake=qos would gain" },
	/* As on the machine that this was written on. */
	{ { WAKEUP_VIRTUAL, 2, 14000, 14000, 0 }, WAKEUP_NOTHING, 0, "no gain" },
	{ { WAKEUP_VIRTUAL, 2, 14000, 15000, 0 }, WAKEUP_NOTHING, 0, "no gain" },
	{ { WAKEUP_VIRTUAL, 2, 52000, 30000, 0 }, WAKEUP_NOTHING, 0, "no gain" },
	{ { WAKEUP_VIRTUAL, 2, 9000, 1000, 0 }, WAKEUP_NOTHING, 0, "no gain" },
	{ { WAKEUP_BARE_METAL, 64, 90000, 8000, 0 }, WAKEUP_HOLD, WAKEUP_MILD_US, "at 4: held" },
	{ { WAKEUP_BARE_METAL, 64, 9000, 8000, 0 }, WAKEUP_NOTHING, WAKEUP_MILD_US, "no gain" },
	{ { WAKEUP_UNKNOWN_MACHINE, 4, 90000, 8000, 0 }, WAKEUP_RECOMMEND, 0, "would gain" },
	{ { WAKEUP_VIRTUAL, 2, 52000, 0, 0 }, WAKEUP_NOTHING, 0, "not known" },
	{ { WAKEUP_VIRTUAL, 2, 0, 0, 6 }, WAKEUP_NOTHING, 0, "No such device" },
};

START_TEST(advised)
{
	const struct advice *a = &advices[_i];
	char why[200];

	ck_assert_int_eq(wakeup_advise(&a->facts, why), a->wanted);
	ck_assert_int_eq(wakeup_value(&a->facts), a->value);
	ck_assert_msg(strstr(why, a->says), "%s", why);
}
END_TEST

/* Whatever it finds on this machine, it ends, and its figures are possible. */
START_TEST(measured)
{
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct wakeup w;
	char why[200];

	wakeup_look(&w, root);
	ck_assert_uint_ge(w.cpus, 1);
	wakeup_measure(&w, -1);
	ck_assert_uint_eq(w.held_ns, 0);
	ck_assert_int_eq(wakeup_advise(&w, why), WAKEUP_NOTHING);
	close(root);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("wake");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, modes);
	tcase_add_test(tcase, does_not_pay);
	tcase_add_test(tcase, backs_off);
	tcase_add_test(tcase, times);
	tcase_add_test(tcase, bursts);
	tcase_add_loop_test(tcase, advised, 0, sizeof(advices) / sizeof(advices[0]));
	tcase_add_test(tcase, measured);
	return run_case("wake", tcase);
}
