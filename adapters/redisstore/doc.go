// Package redisstore shares between processes, in Redis, what they have to agree on from moment to moment: a partner's limits ([Quota], a
// [ratelimit.Quota]), which webhooks were handed over ([Dedupe], a [webhook.Dedupe]), and a cache of tokens before the database that has the
// truth ([Tokens], an [auth.Store]). Each is usable alone. The last two say all about themselves; the rest of this is about the Quota.
//
//	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
//	quota, err := redisstore.New(client, tiers, redisstore.Options{Name: "guesty", OnEvent: alert})
//	defer quota.Close()
//	lim, err := ratelimit.New(tiers, ratelimit.Options{Name: "guesty", Quota: quota, Dialect: dialect})
//
// It needs Redis 7, alone, with replicas or as a Cluster. One process alone needs none of this: a limiter without a Quota counts in
// memory, about a hundred times faster.
//
// # How it counts
//
// All operations that have gathered while the last answer was on its way go to Redis together, in one call of one script: those of all keys, and
// of all quotas made with the same client. (In a Cluster: those of one hash slot.) So a call costs one round trip, and less the more are made at
// once. The script admits in all tiers or in none, and goes by Redis' clock alone: processes tell it how long ago something was, never
// when, so that their clocks do not matter.
//
// A window is a ring of 64 sub-windows, each charged until its end has left the window: never too much is admitted, and at most 1/64 too
// little. Fixed windows and buckets are counted exactly. A request in flight holds room in every tier until it is settled.
// With all that a process says of a key it says what it has in flight there, and holds that for a lease, which it renews. When a
// process dies, its leases end after [Options.Lease]: what it had in flight is charged as if it arrived then, and the slots
// in flight are free.
//
// Everything in Redis expires: the state of a key after two to three of its
// longest windows, what is known of the whole after 90 days without a call. Keys are spread over 16 hash slots of a Cluster, or are all in
// one where [Options.Tag] says so. Use a redis.ClusterClient for a Cluster: any other client is taken to reach all keys. While a slot is
// being moved to another node, calls of keys that are new to it may have to wait for the end of the move; if that takes longer
// than the Timeout, Redis is away for them.
//
// # Waiting
//
// Only the first in line of each process asks. When room comes with time, it is told when. When a request in flight has to end first, which
// nobody can date, and when the wait ends before its time, because a request was refunded, or a park lifted, Redis tells the processes
// that wait: as many as there is room for, those first that have waited longest. Each process has one connection for that, by
// SUBSCRIBE, from the first refusal on. Who is told is counted as one call: a process whose waiter gave up meanwhile, or needs more
// than there is, does not pass it on, and then the others come at the times they were given. A message that is lost costs a
// second at most where the end could not be dated: then who waits asks again. A user of Redis that may not publish or subscribe (channels Prefix + "wake:*") has its processes ask as often as before that connection stands: after a
// quarter of the time that requests usually take, 5 to 250 ms. Parking is in force for all processes with the call that says so.
//
// # Several quotas at once
//
// One call can be charged to several quotas, all or none, in the same one round trip: that of the application and that of the account, say. A
// [ratelimit.Set] does so where [Quota.Joins] says that it can: for quotas made with the same client and the same Timeout; in a Cluster, whose
// scripts reach the keys of one hash slot, only where they have the same [Options.Tag], and then all their keys are on one node. Others are
// taken one after the other, and given back if one refuses: as exact, but a round trip each.
//
// # The first start
//
// A Redis that knows nothing is new, or has lost everything: it cannot say which. So each tier sits out one window and a lease, as if all
// had been spent. [Quota.Begin] says, once, that it is new. What a version of this package has stored that does so in another form counts
// as lost too: stop all processes of the one before those of the other start.
//
// # When Redis is away
//
// Redis is away when it does not answer within [Options.Timeout], or answers that it cannot (it is loading, out of memory, a replica). From then on it is
// not asked by calls, but by a probe, every second or sooner, until it can be written again. [Options.Away] says what is admitted meanwhile:
// [FailClosed] nothing, [LocalShare] an n-th of each limit in each process, [FailOpen] everything; the last two for
// [Options.AwayFor] at most. What was spent meanwhile is told when Redis is back. [Options.OnEvent] is told of all of this.
// New does not ask Redis, so a host starts without it.
//
// # When Redis forgets
//
// Whoever finds Redis empty (the key of the epoch is missing), or with an older copy of its data than this process has seen, begins a new epoch. For
// all processes each tier then sits out one window and a lease, which covers whatever was spent or in flight before; and every process tells what it
// has in flight. The event is [Lost].
//
// # What is not promised
//
// With FailClosed no window at the partner exceeds its limit, whoever is killed, but in these cases, of which Redis cannot know:
//
//   - A process that cannot reach Redis for longer than the lease while its requests are in flight: they are charged at the end of the lease,
//     and can arrive later. Keep the lease above the timeout of a call.
//   - A fail-over to a replica, or a restart from a snapshot, that lost the last writes, if no process that is alive has seen
//     them. Run one Redis for this with noeviction, and with nothing on disk: an empty one is found out for certain.
//   - A key that Redis evicts to make room: set maxmemory-policy to noeviction.
//   - A clock of the Redis host that is set forward. Backward is harmless, it stands still until it is reached.
//   - Somebody who deletes keys by hand, or calls Begin after data were lost and nobody noticed.
//
// LocalShare and FailOpen give up more; see there. Processes that share a Name have the same tiers, or get [ErrTiers]: new tiers need a new
// Name, which sits out a window unless Begin is called, and while processes of both run they count apart.
package redisstore
