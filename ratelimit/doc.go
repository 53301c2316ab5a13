// Package ratelimit keeps calls within a partner's limits, as the partner counts them.
package ratelimit
