package plugins

import (
	v1 "k8s.io/api/core/v1"
	resourceapi "k8s.io/api/resource/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// noClaims is a cluster without device claims: no extended resource is backed by a DeviceClass. Scores by extended
// resources ask for that, also where the plugin DynamicResources is left out, as it is here; nothing else is asked.
type noClaims struct{}

func (noClaims) ResourceClaims() fwk.ResourceClaimTracker     { return nil }
func (noClaims) ResourceSlices() fwk.ResourceSliceLister      { return nil }
func (noClaims) DeviceClasses() fwk.DeviceClassLister         { return nil }
func (noClaims) DeviceClassResolver() fwk.DeviceClassResolver { return noClaims{} }

// GetDeviceClass finds none.
func (noClaims) GetDeviceClass(v1.ResourceName) *resourceapi.DeviceClass { return nil }
