-- Approves what the operator would create now; it compares the hash, so another plan is not approved by it.
if obj.status ~= nil and obj.status.plan ~= nil and obj.status.plan.hash ~= nil then
  obj.spec.approvedPlan = obj.status.plan.hash
end
return obj
