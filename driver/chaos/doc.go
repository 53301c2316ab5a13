// Package chaos makes things go wrong on purpose, between a program and the partners it calls: in a host's staging,
// in a load test, on a developer's machine. It links neither testing nor a cassette library, and nothing else of the
// kit: it works around any http.Client.
//
// An [Injector] goes where the network is, innermost, so that retries, limiters and circuits see its faults as the
// partner's:
//
//	var rules chaos.Rules
//	flag.Var(&rules, "chaos", "faults to inject: 429:1%;retry=date:7s,lost:0.5%;at=POST /v1/*")
//	seed := flag.Uint64("chaos-seed", 1, "repeats a run's faults")
//	flag.Parse()
//	monkey, err := chaos.New(chaos.Config{Rules: rules, Seed: *seed})
//	reg := driver.NewRegistry(driver.Options{Transport: monkey.Wrap(nil)})
//	http.Handle("/webhooks/", monkey.Handler(receiver))
//
// # The faults
//
// Calls ([Injector.Wrap]):
//
//	latency    the request is sent after Delay, and up to Jitter more
//	timeout    nothing is sent and no answer comes: until Delay has passed, or without it until the request's context ends
//	refused    nothing is sent: connection refused
//	reset      nothing is sent: connection reset, which looks as if it might have been
//	503        nothing is sent: an answer with that status, any from 400 to 599, and Retry-After as Retry says
//	html       nothing is sent: a gateway's page with status 200
//	lost       the request is sent and carried out; its answer is thrown away and the connection reset
//	slow       the answer's body drips in over Delay (10 s)
//	cut        the connection breaks in the middle of the answer's body
//	truncated  the answer's body ends in the middle and looks whole
//	skew       the partner's clock is off by Skew: Date, Expires, Last-Modified and a Retry-After that is a date
//
// Webhooks ([Injector.Handler]):
//
//	duplicate  the delivery is handled twice, at the same time or one after the other
//	reorder    the delivery is held back, at most for Delay (1 s), until the next one was handled
//	redeliver  the delivery is handled, and its answer lost: the sender sends it again
//
// Rules are asked in their order. Latency and skew are added to what else happens; of the others the first that
// strikes decides.
//
// # What is reproducible
//
// A request's fate depends on the seed, on the rules, on its identity and on how many requests of that identity came
// before it; not on time, goroutines or what else is going on. The identity is the method and the URL, with its query
// sorted; of a webhook it is the path and the body. [Config.Identity] replaces it where a URL holds what differs in
// each run. So two runs that make the same requests meet the same faults, and as many, in whatever order their
// goroutines make them: the third GET of page 7 meets the fate of third GETs of page 7. A retry is one request more
// of the same identity, and has a fate of its own.
//
// Three things are not reproducible. A rule with From, Until or Every is in force by the clock. Which of several
// requests of one identity that are under way together is the first is up to the scheduler; bodies are not looked at,
// so two POSTs to one URL are such. And beyond 65,536 identities counting begins anew, so that a long run does not
// fill the memory.
package chaos
