package guest

import "testing"

// C filters by a lane that is ready without a look at its instance: one that has lost it is not
// ready, whatever keeps Go from saying so.
func TestLaneWithoutInstanceIsNotReady(t *testing.T) {
	in := instantiate(t, inside("1", "", ""), Config{})
	lane := NewLane()
	defer lane.Close()
	lane.Attach(in)
	lane.SetReady(true)
	if !lane.c.ready {
		t.Fatal("not ready")
	}
	lane.Attach(nil)
	if lane.c.ready || lane.c.guest != nil {
		t.Errorf("ready %v, instance %v", lane.c.ready, lane.c.guest)
	}
}
