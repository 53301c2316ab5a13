package webhook

import (
	"fmt"
	"net/netip"
	"strings"
)

// AddressList says from where requests may come: a fence around a scheme, and none itself. The nil list lets all pass.
type AddressList struct {
	From []netip.Prefix // senders
	// Proxies are those of ours between the sender and us, whose word is taken for who sent them a request. Without
	// them headers count for nothing.
	Proxies []netip.Prefix
	Header  string // in which proxies add the address they were called from, comma separated; "": X-Forwarded-For
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Sender returns the address m comes from: that of the peer, or, if it is one of the Proxies, the last one in the
// header that is none. What stands before that was written by the sender. Zero if it cannot be told.
func (l *AddressList) Sender(m *Message) netip.Addr {
	a := m.Peer.Unmap()
	if l == nil || !contains(l.Proxies, a) {
		return a
	}
	name := l.Header
	if name == "" {
		name = "X-Forwarded-For"
	}
	hops := strings.Split(strings.Join(m.Header.Values(name), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if ap, err := netip.ParseAddrPort(hop); err == nil {
			a = ap.Addr()
		} else if a, err = netip.ParseAddr(hop); err != nil {
			return netip.Addr{}
		}
		if a = a.Unmap().WithZone(""); !contains(l.Proxies, a) {
			return a
		}
	}
	return netip.Addr{} // proxies alone: no sender
}

// Check returns an error that wraps [ErrAddress] if m does not come from where it may.
func (l *AddressList) Check(m *Message) error {
	if l == nil {
		return nil
	}
	if a := l.Sender(m); !a.IsValid() || !contains(l.From, a) {
		return fmt.Errorf("%w: %v", ErrAddress, a)
	}
	return nil
}
