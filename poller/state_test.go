package poller_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// TestPackagesHoldNoState: what a package has at its top level is set once, before main
// runs. State belongs to a structure, of which tests and programs can have several.
// Pools are no state. The method calls by which other types change are not seen, so
// those of sync and channels are refused by their names.
func TestPackagesHoldNoState(t *testing.T) {
	packages := map[string][]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], file)
		return err
	})
	if err != nil || len(packages) < 30 {
		t.Fatalf("%d packages, %v", len(packages), err)
	}
	for _, files := range packages {
		for _, at := range stateOf(files) {
			t.Errorf("%v: the variable %s is state of its package", set.Position(at.Pos()), at.Name)
		}
	}
}

// stateOf returns where the files of a package change one of its variables, and those
// that are made to be changed.
func stateOf(files []*ast.File) (found []*ast.Ident) {
	variables := map[string]bool{}
	for _, file := range files {
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok || general.Tok != token.VAR {
				continue
			}
			for _, spec := range general.Specs {
				value := spec.(*ast.ValueSpec)
				for _, name := range value.Names {
					variables[name.Name] = true
					if changeable(value.Type) {
						found = append(found, name)
					}
				}
			}
		}
	}
	for _, file := range files {
		changed := func(expression ast.Expr) {
			name := rootOf(expression)
			if name != nil && variables[name.Name] && (name.Obj == nil || file.Scope.Lookup(name.Name) == name.Obj) {
				found = append(found, name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Recv != nil || n.Name.Name != "init"
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					if n.Tok != token.DEFINE {
						changed(left)
					}
				}
			case *ast.IncDecStmt:
				changed(n.X)
			}
			return true
		})
	}
	return found
}

// changeable tells whether a type is made for values that change.
func changeable(of ast.Expr) bool {
	switch of := of.(type) {
	case *ast.ChanType:
		return true
	case *ast.IndexExpr: // atomic.Pointer[T]
		return changeable(of.X)
	case *ast.SelectorExpr:
		from, ok := of.X.(*ast.Ident)
		return ok && (from.Name == "atomic" || from.Name == "sync" && of.Sel.Name != "Pool")
	}
	return false
}

// rootOf is the variable that an assignment to an expression changes, nil if that
// cannot be seen.
func rootOf(of ast.Expr) *ast.Ident {
	switch of := of.(type) {
	case *ast.Ident:
		return of
	case *ast.SelectorExpr:
		return rootOf(of.X)
	case *ast.IndexExpr:
		return rootOf(of.X)
	case *ast.StarExpr:
		return rootOf(of.X)
	}
	return nil
}
