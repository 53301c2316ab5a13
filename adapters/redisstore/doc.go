// Package redisstore shares a partner's limits between processes, in Redis: [Quota] is a [ratelimit.Quota] that counts there.
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
// All operations on a key that have gathered while the last answer was on its way go to Redis together, in one call of one script: takes,
// settlements, renewals, in their order. So a call costs one round trip, and less the more are made at once for the key.
// The script admits in all tiers or in none, and goes by Redis' clock alone: processes tell it how long ago something was, never when, so
// that their clocks do not matter.
//
// A window is a ring of 64 sub-windows, each charged until its end has left the window: never too much is admitted, and at most 1/64 too
// little. Fixed windows and buckets are counted exactly. A request in flight holds room in every tier until it is settled, and a lease on
// it that its process renews. When a process dies, its leases end after [Options.Lease]: what it had in flight is charged as if
// it arrived then, and the slots in flight are free.
//
// Everything in Redis expires: the state of a key after two of its
// longest windows, what is known of the whole after 90 days without a call. Keys are spread over 16 hash slots of a Cluster.
//
// Processes are served as they ask; there is no order between them. Only the first in line of each process asks. When room comes with
// time, it is told when; when a request in flight has to end first, it asks again after a quarter of the time that requests usually take
// (5 to 250 ms), since Redis cannot wake a limiter. Parking is in force for all processes with the call that says so.
//
// # The first start
//
// A Redis that knows nothing is new, or has lost everything: it cannot say which. So each tier sits out one window and a lease, as if all
// had been spent. [Quota.Begin] says, once, that it is new.
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
