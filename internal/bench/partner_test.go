package bench

import (
	"io"
	"net/http"
	"strings"
)

// body is what the in-memory partner answers: a small page.
const body = `{"results":[{"_id":"66f0c1a2b3d4e5f607182930","title":"Harbour loft"},{"_id":"66f0c1a2b3d4e5f607182931","title":"Garden studio"}],"count":2,"limit":25,"skip":0}`

// partner answers every request with the same page, from memory: what is left is the price of the layers above it.
type partner struct{ header http.Header }

func newPartner() *partner {
	return &partner{header: http.Header{"Content-Type": {"application/json"}}}
}

func (p *partner) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") != "Bearer token" {
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: p.header, Body: http.NoBody, Request: req}, nil
	}
	if req.Body != nil {
		req.Body.Close()
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: p.header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}
