-- Takes the field away, as it was before `suspend`.
obj.spec.suspend = nil
return obj
