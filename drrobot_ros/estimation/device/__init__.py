"""The tracker's inner loop in torch, for CUDA: the twin of ``native/src/gauss_newton.cpp``.

choice       which device a setting means
motion       poses and twists of the links, on the CPU: what an iteration sends
packet       the one array that holds them
projection   splats on the image and their derivatives
pairs        which splat counts in which pixel, front to back
jacobian     images and their derivatives in the parameters
residuals    residuals, robust weights, normal equations, statistics
planes       observed images on the device, sent once each
evaluation   all of that as one function of tensors
recording    that function as one CUDA graph
image_model  the class that takes the place of `ImageModel`
"""
