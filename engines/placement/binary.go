package placement

type writer struct{}

func (t *slots) encode(w *writer)     {}
func (t *bounded) encode(w *writer)   {}
func (r *ring) encode(w *writer)      {}
func (r *ranges) encode(w *writer)    {}
func (d *directory) encode(w *writer) {}
func (j *jump) encode(w *writer)      {}
