package pagination_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"

	"github.com/integrationkit/integrationkit/pagination"
)

// acme is a partner with five orders, two a page.
var acme = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	orders := []int{101, 102, 103, 104, 105}
	end := min(skip+2, len(orders))
	if end < len(orders) {
		w.Header().Set("Link", fmt.Sprintf(`</orders>; rel="first", </orders?skip=%d>; rel="next"`, end))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": orders[skip:end], "count": len(orders)})
})

func get(_ context.Context, target string) (orders []int, count int, h http.Header, err error) {
	rec := httptest.NewRecorder()
	acme.ServeHTTP(rec, httptest.NewRequest("GET", target, nil))
	var body struct {
		Results []int
		Count   int
	}
	err = json.Unmarshal(rec.Body.Bytes(), &body)
	return body.Results, body.Count, rec.Header(), err
}

func acmeOrders(ctx context.Context, c pagination.Cursor) pagination.Pages[int] {
	return pagination.Offset(ctx, pagination.From("acme/orders/1", c), 2, nil,
		func(ctx context.Context, offset, limit int) (pagination.Batch[int], error) {
			orders, count, _, err := get(ctx, fmt.Sprintf("/orders?skip=%d&limit=%d", offset, limit))
			return pagination.Batch[int]{Items: orders, Total: count}, err
		})
}

func Example() {
	for page, err := range acmeOrders(context.Background(), "") {
		if err != nil {
			fmt.Println("go on later at", page.Next, "after", err)
			return
		}
		fmt.Println(page.Items, "of", page.Total, page.Last())
	}
	// Output:
	// [101 102] of 5 false
	// [103 104] of 5 false
	// [105] of 5 true
}

// An order is deleted while the list is read, and all behind it move up. The second page does not begin with the last
// row of the first one, so it is looked for.
func ExampleOffset() {
	orders := []int{101, 102, 103, 104, 105, 106, 107}
	pages := pagination.Offset(context.Background(), pagination.From("acme/orders/1", ""), 3, strconv.Itoa,
		func(_ context.Context, offset, limit int) (pagination.Batch[int], error) {
			return pagination.Batch[int]{Items: orders[offset:min(offset+limit, len(orders))]}, nil
		})
	for page, err := range pages {
		if err != nil {
			return
		}
		fmt.Println(page.Items, page.Incomplete == "")
		orders = slices.DeleteFunc(slices.Clone(orders), func(id int) bool { return id == 101 })
	}
	// Output:
	// [101 102 103] true
	// [104] true
	// [105 106] true
	// [107] true
}

// A run that stops, for whatever reason, is gone on with from the cursor that was stored with the last page: in another
// process, a week later.
func Example_resume() {
	ctx := context.Background()
	var stored pagination.Cursor
	for page, err := range acmeOrders(ctx, stored) {
		if err != nil {
			break
		}
		fmt.Println("first run:", page.Items)
		stored = page.Next
		break // the process is stopped here
	}
	for page, err := range acmeOrders(ctx, stored) {
		if err != nil {
			break
		}
		fmt.Println("second run:", page.Items)
	}

	bookings := pagination.Offset(ctx, pagination.From("acme/bookings/1", stored), 2, nil,
		func(context.Context, int, int) (pagination.Batch[int], error) {
			panic("not reached")
		})
	for _, err := range bookings {
		fmt.Println("another stream:", err, errors.Is(err, pagination.ErrCursor))
	}
	// Output:
	// first run: [101 102]
	// second run: [103 104]
	// second run: [105]
	// another stream: pagination: acme/bookings/1: cursor is not of this stream: it is of another true
}

func ExampleToken() {
	answers := map[string]pagination.Batch[string]{
		"":   {Items: []string{"a", "b"}, Next: "k7"},
		"k7": {Items: []string{"c"}, Next: "q2"},
		"q2": {Items: []string{"d"}},
	}
	pages := pagination.Token(context.Background(), pagination.From("acme/names/1", ""),
		func(_ context.Context, token string) (pagination.Batch[string], error) {
			return answers[token], nil
		})
	for page, err := range pages {
		fmt.Println(page.Items, err)
	}
	// Output:
	// [a b] <nil>
	// [c] <nil>
	// [d] <nil>
}

func ExampleNextLink() {
	first := &url.URL{Scheme: "https", Host: "api.acme.example", Path: "/orders"}
	pages := pagination.NextLink(context.Background(), pagination.From("acme/orders/2", ""), first,
		func(ctx context.Context, u *url.URL) (pagination.Batch[int], error) {
			orders, _, header, err := get(ctx, u.String())
			return pagination.Batch[int]{Items: orders, Next: pagination.LinkNext(header)}, err
		})
	for page, err := range pages {
		fmt.Println(page.Items, err)
	}
	// Output:
	// [101 102] <nil>
	// [103 104] <nil>
	// [105] <nil>
}

func ExampleItems() {
	for order, err := range pagination.Items(acmeOrders(context.Background(), "")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(order, " ")
	}
	// Output: 101 102 103 104 105
}

func ExampleMap() {
	type order struct{ ID int }
	pages := pagination.Map(acmeOrders(context.Background(), ""), func(id int) (order, error) {
		if id == 103 {
			return order{}, errors.New("the departure is before the arrival")
		}
		return order{ID: id}, nil
	}, func(id int) (string, []byte) { return strconv.Itoa(id), nil })
	for page, err := range pages {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(page.Items)
		for _, r := range page.Rejected {
			fmt.Print(" rejected ", r.ID, ": ", r.Err)
		}
		fmt.Println()
	}
	// Output:
	// [{101} {102}]
	// [{104}] rejected 103: the departure is before the arrival
	// [{105}]
}

func ExamplePrefetch() {
	ctx := context.Background()
	pages := pagination.Prefetch(ctx, 1, func(ctx context.Context) pagination.Pages[int] { return acmeOrders(ctx, "") })
	for page, err := range pages {
		fmt.Println(page.Items, err) // the page after this one is being fetched
	}
	// Output:
	// [101 102] <nil>
	// [103 104] <nil>
	// [105] <nil>
}
