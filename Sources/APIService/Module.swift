// APIService
