package play

import (
	"slices"
	"time"
)

// timing is how long records took, in microseconds.
type timing struct {
	Mean    float64  `json:"mean"`
	Min     float64  `json:"min"`
	Median  float64  `json:"median"`
	P95     float64  `json:"p95"`
	Max     float64  `json:"max"`
	Buckets []bucket `json:"buckets"`
}

// bucket is how many records took less than so long, and not less than the bucket before says.
type bucket struct {
	Below float64 `json:"below"`
	N     int     `json:"n"`
}

func timingOf(list []time.Duration) *timing {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(list))
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	// at is the least that so many of a hundred are not above (nearest rank).
	at := func(percent int) float64 { return micros(sorted[(len(sorted)*percent+99)/100-1]) }
	t := &timing{Min: micros(sorted[0]), Median: at(50), P95: at(95), Max: micros(sorted[len(sorted)-1])}
	var sum time.Duration
	for _, d := range sorted {
		sum += d
	}
	t.Mean = micros(sum) / float64(len(sorted))
	for i, below := 0, time.Microsecond; i < len(sorted); below = next(below) {
		n := i
		for i < len(sorted) && sorted[i] < below {
			i++
		}
		if i > 0 {
			t.Buckets = append(t.Buckets, bucket{micros(below), i - n})
		}
	}
	return t
}

// next is the edge of a bucket after another one: 1, 2, 5, 10, …
func next(d time.Duration) time.Duration {
	lead := d
	for lead >= 10 {
		lead /= 10
	}
	if lead == 2 {
		return d / 2 * 5
	}
	return d * 2
}
