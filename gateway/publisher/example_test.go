package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"fleetcast/gateway/publisher"
)

func Example() {
	ctx := context.Background()
	p, err := publisher.Dial(ctx, "127.0.0.1:8082")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	// Publish waits for the event's position.
	result, err := p.Publish(ctx, "news", []byte(`{"title":"hello"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Channel, result.Offset, result.Subscribers)

	// Send does not; Flush says whether all went well.
	for i := range 1000 {
		if err := p.Send(ctx, "ticks", fmt.Appendf(nil, `{"tick":%d}`, i)); err != nil {
			log.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		log.Fatal(err)
	}
}

// An event is repeated only where that cannot double it.
func ExamplePublisher_Publish_retry() {
	p, err := publisher.Config{FailFast: true}.Dial(context.Background(), "127.0.0.1:8082")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		_, err := p.Publish(ctx, "news", []byte(`{"title":"hello"}`))
		var refused *publisher.Error
		switch {
		case err == nil:
			return
		case errors.As(err, &refused):
			log.Fatalf("the gateway refuses the event: %s", refused.Code)
		case errors.Is(err, publisher.ErrNotSent) && ctx.Err() == nil:
			time.Sleep(100 * time.Millisecond) // it never left: try again
		default:
			log.Fatalf("the event may or may not have been published: %v", err)
		}
	}
}

func ExampleBatch() {
	ctx := context.Background()
	p, err := publisher.Dial(ctx, "127.0.0.1:8082")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	batch := p.NewBatch()
	for _, name := range []string{"a", "b", "c"} {
		if err := batch.Add("room:"+name, []byte(`{"closing":true}`)); err != nil {
			log.Fatal(err)
		}
	}
	outcomes, _ := batch.Publish(ctx)
	for _, o := range outcomes {
		if o.Err != nil {
			log.Print(o.Err)
		}
	}
}
