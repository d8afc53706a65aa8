# shellcheck shell=bash
# Sourced by peers: two sides by turns, and what a sign test says about their ratio.

pairs_head() { # A B
	echo "$1 against $2, rates of both in turn: worse is a median ratio below 1/1.05"
	printf '%-24s %5s %8s %17s %6s  %s\n' row pairs median "95 % sure: within" worse verdict
}

# Lines "SIDE NUMBER", larger is better -> median ratio A/B of the pairs, its confidence interval (the
# sign test's: between two of the ordered ratios, whatever their distribution), and in how many pairs
# A was worse by more than 5 %. The verdict is about the median, with 95 % confidence or none.
pairs_row() { # NAME A B FILE
	awk -v name="$1" -v a="$2" -v b="$3" '
	{ v[$1, n[$1]++] = $2 }
	END {
		pairs = n[a] < n[b] ? n[a] : n[b]
		if (n[a] != n[b] || pairs < 6) {
			printf "%-24s %5d  no figures\n", name, pairs
			exit
		}
		limit = 1 / 1.05
		for (i = 0; i < pairs; i++) {
			x = v[a, i] / v[b, i]
			worse += x < limit
			for (j = i; j >= 1 && r[j] > x; j--)
				r[j + 1] = r[j]
			r[j + 1] = x
		}
		# The greatest k with P(fewer than k of the pairs lie on one side) <= 2.5 %.
		term = sum = 0.5 ^ pairs
		for (k = 0; sum <= 0.025; k++) {
			term *= (pairs - k) / (k + 1)
			sum += term
		}
		low = r[k]
		high = r[pairs + 1 - k]
		mid = (r[int((pairs + 1) / 2)] + r[int(pairs / 2) + 1]) / 2
		verdict = low >= limit ? "not worse" : high < limit ? "WORSE" : "open"
		printf "%-24s %5d %8.3f %8.3f-%8.3f %6d  %s\n", name, pairs, mid, low, high, worse, verdict
	}' "$4"
}
