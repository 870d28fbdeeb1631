-- Stops the transfer. A self-heal does not undo it, as long as the manifest leaves `suspend` out.
obj.spec.suspend = true
return obj
