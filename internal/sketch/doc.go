// Package sketch holds, as code that only has to compile, the uses that the kit's interfaces were shaped for before they were
// implemented: the method sets of four very different partners, a shared quota, a queue's worker, a webhook endpoint. When an
// interface changes and one of these gets longer, the change is wrong.
package sketch
